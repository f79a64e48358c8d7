"""A device model behind a pseudo-terminal, which any program can open as a serial port."""

import os
import select
import threading
import tty


class Terminal:
    """Runs ``device`` in a thread until closed. A context manager; ``port`` is the name."""

    def __init__(self, device):
        self.device = device
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._serve)
        self._stop_read, self._stop_write = os.pipe()

    def __enter__(self) -> "Terminal":
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self.pull()
        os.close(self._stop_read)
        os.close(self._stop_write)

    def pull(self) -> None:
        """The port disappears."""
        if self._thread.is_alive():
            os.write(self._stop_write, b"x")
            self._thread.join()
            os.close(self._slave)
            os.close(self._master)

    def _serve(self) -> None:
        output = b""
        while True:
            writable = [self._master] if output else []
            ready, free, _ = select.select([self._master, self._stop_read], writable, [])
            if self._stop_read in ready:
                return
            if self._master in ready:
                self.device.receive(os.read(self._master, 4096))
            if free:
                output = output[os.write(self._master, output[:1024]) :]
            output = output or self.device.transmit(4096)
