"""A board without the board: its design under Verilator, behind a serial port of this computer.

Any program can open the port. The bits on the line are real; only the clock is slower than a
board's. The line can have faults. ``board.cpp`` is the program that does all this.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boards.top import BoardTop, Light
from egru_hw.contract.config import Config
from egru_hw.contract.image import Image
from egru_hw.gateware.verilog import convert
from egru_hw.host.transport import TransportError
from egru_hw.link.frames import BAUD
from sim.backends import Progress
from sim.backends.compiled import executable
from sim.simulation import BUILD

PROGRAM = Path(__file__).with_name("board.cpp")

FAULTS = {
    "flip": "a bit of a byte is inverted",
    "drop": "a byte is lost",
    "duplicate": "a byte arrives twice",
    "delay": "a direction pauses, for up to 0.3 s",
    "silence": "the bytes of both directions are lost, for up to 0.3 s",
    "unplug": "the port vanishes, for up to 0.3 s",
    "reset": "the board starts as after power-up",
}
"""What can befall a byte on the line, in either direction."""

DIVISOR = 3
"""Cycles a bit: few, as it is the cycles that take time."""

QUIET = 1 << 13
"""Cycles without a bit and without a step after which the clock stands still: more than pass
between a command and its first reply, or between two frames."""

EXIT_TIME = 10  # seconds


@dataclass(frozen=True)
class Traffic:
    """What crossed the line, until the board was closed.

    Attributes:
        cycles: of the board's clock.
        to_device, from_device: bytes.
        faults: how many there were of each kind.
    """

    cycles: int
    to_device: int
    from_device: int
    faults: dict[str, int]


class VirtualBoard:
    """A running board. A context manager that closes it; it also ends with this process.

    Args:
        config: sizes of the accelerator.
        image: the model in its bitstream, if any. Each is compiled once, which takes some time.
        faults: probability of each kind in :data:`FAULTS`, per byte.
        seed: seed of the faults.
        latency: milliseconds for which a USB adapter holds back fewer than 62 bytes.
        link: path of a symbolic link to the port, which stays the same when the port vanishes and
            another takes its place.
        build: folder for compiled simulations.
        progress: see :data:`sim.backends.Progress`.

    Raises:
        ValueError: a kind of fault is unknown, or its rate is no probability.
        TransportError: the simulation could not be built or started.
    """

    def __init__(
        self,
        config: Config,
        image: Image | None = None,
        *,
        faults: Mapping[str, float] | None = None,
        seed: int = 0,
        latency: float = 0.0,
        link: Path | None = None,
        build: Path = BUILD,
        progress: Progress | None = None,
    ):
        rates = check_faults(faults or {})
        program = executable(
            lambda: convert(BoardTop(config, image, DIVISOR)),
            ("board", config.to_json(), str(image.digest if image else 0)),
            build.absolute(),
            PROGRAM,
            {"DIVISOR": DIVISOR, "STEP": Light.STEP.value},
            progress or (lambda phase, share: None),
        )
        self._traffic: Traffic | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="egru-")
        self._link = link.absolute() if link else Path(self._folder.name) / "port"
        adapter = round(latency * 1e-3 * BAUD * DIVISOR)  # cycles
        command = [program, self._link, seed, QUIET, adapter]
        command += [f"{kind}={rate}" for kind, rate in rates.items()]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*map(str, command)], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        assert self._process.stdout
        if not self._process.stdout.readline():
            _, errors = self._process.communicate()
            self._folder.cleanup()
            raise TransportError(f"the virtual board did not start: {errors.strip()}")

    @property
    def port(self) -> str:
        """The name of the serial port. After the fault "unplug" it is another one."""
        return os.path.realpath(self._link)

    @property
    def link(self) -> str:
        """The path of the link to the port."""
        return str(self._link)

    def __enter__(self) -> "VirtualBoard":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def wait(self) -> None:
        """Return when the board has ended."""
        self._process.wait()

    def close(self) -> Traffic:
        """End the board, if it has not ended."""
        if self._traffic is None:
            try:
                report, errors = self._process.communicate(timeout=EXIT_TIME)
            except subprocess.TimeoutExpired:
                self._process.kill()
                report, errors = self._process.communicate()
            self._folder.cleanup()
            if self._process.returncode:
                raise TransportError(f"the virtual board broke off: {errors.strip()}")
            self._traffic = Traffic(**json.loads(report))
        return self._traffic


def check_faults(faults: Mapping[str, float]) -> Mapping[str, float]:
    """``faults``, if each is known and all together strike a byte with a probability below 1."""
    for kind, rate in faults.items():
        if kind not in FAULTS:
            raise ValueError(f"there is no fault {kind!r}: expected {', '.join(FAULTS)}")
        if not 0 <= rate < 1:
            raise ValueError(f"the rate of {kind!r} must be a probability in [0, 1), not {rate!r}")
    if (total := sum(faults.values())) >= 1:
        raise ValueError(f"the rates of all faults must add up to less than 1, not {total:g}")
    return faults
