"""A host in plain Python, written from link.md and interface.md alone: an example for other hosts.

    python second_host.py /dev/ttyUSB0

Loads a network of one input, one unit and one output, runs a sequence, and prints the values of all
replies: an event, if there is one, and [] for each step, then the output and the state.
"""

import os
import struct
import sys
import time
import zlib

import serial

HELLO, DATA, ACK, RESEND = 1, 2, 3, 4  # frames to the device
WELCOME, GAP = 1, 4  # and from it
SELECT, WRITE, READ, RESET, EVENT, STEP, READOUT = range(1, 8)
COMMANDS = {SELECT: "i", WRITE: "i", READ: "i", EVENT: "h"}  # formats of their values
REPLIES = {1: "<B", 2: "", 3: "<i", 4: "<i"}  # of EVENT, STEP, OUTPUT, DATA
REGISTERS, WEIGHTS, PARAMETERS, READOUT_ROWS, STATE, _, IDENTITY = range(7)
SLOTS, LONGEST, QUIET, PATIENCE = 16, 253 - 3 - 4, 0.1, 5.0  # frames, bytes of payload, seconds

W_IN, W_REC = (10, -20, 30), (5, 15, -25)  # weights of the gates r, z, n
BIAS, THRESHOLD, OUT = (300, -2000, 400, 100), 9000, [[50], [-3]]  # OUT: weight and bias
MODEL = [0, 1, 1, 256, 1, 1, 1, 0, 0, 0, 1, 6, 6]  # registers
INPUTS = [200, -100, 0, 255, 255, 0, 0, -256]


def command(code, index=0, *value):
    return struct.pack("<H" + COMMANDS.get(code, ""), code << 12 | index, *value)


def replies_in(payload):
    while payload:
        code = payload[1] >> 4
        yield code, *struct.unpack_from(REPLIES[code], payload, 2)
        payload = payload[2 + struct.calcsize(REPLIES[code]) :]


def encoded(kind, number, ack, payload):
    body = bytes([kind, number % 256, ack % 256]) + payload
    blocks = (body + zlib.crc32(body).to_bytes(4, "little")).split(b"\0")
    return b"".join(bytes([len(block) + 1]) + block for block in blocks) + b"\0"  # COBS


def decoded(line):
    """Kind, number, ack, consumed and payload; () if the frame is damaged."""
    line, body = line[::-1], b""
    while line:
        body, line = body + line[1 : line[0]] + b"\0", line[line[0] :]
    body = body[-2::-1]
    if len(body) < 8 or zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
        return ()
    return *body[:4], body[4:-4]


class Link:
    """A session with the device on ``port``. Frames are counted from 0 without end."""

    def __init__(self, port):
        self.port, self.lines = port, [b""]  # the last one is not complete
        self.payloads, self.next, self.consumed = [], 0, 0  # to the device
        self.expected, self.replies, self.asked = 0, [], False  # from it
        self.end, nonce, frame = time.monotonic() + PATIENCE, os.urandom(4), None
        while not (frame and frame[0] == WELCOME and frame[4].startswith(nonce)):
            if frame is None:
                port.write(b"\0" + encoded(HELLO, 0, 0, nonce))
            frame = self.frame()

    def send(self, kind, payload=b""):
        self.port.write(encoded(kind, self.next, self.expected, payload))

    def frame(self):
        """The next frame that arrives; () if it is damaged, None if none comes."""
        begin = time.monotonic()
        if begin > self.end:
            raise TimeoutError("the device does not answer, or does not go on")
        while len(self.lines) == 1:
            if time.monotonic() > begin + QUIET:
                return None
            data = self.port.read(self.port.in_waiting or 1)
            *complete, rest = (self.lines.pop() + data).split(b"\0")
            self.lines = [line for line in complete if line] + [rest]
        return decoded(self.lines.pop(0))

    def exchange(self, commands, count):
        """Carry out ``commands``; return their replies, of which ``count`` are no EVENTs."""
        self.payloads.append(b"")
        for packet in commands:
            if len(self.payloads[-1] + packet) > LONGEST:
                self.payloads.append(b"")
            self.payloads[-1] += packet
        self.end, quiet = time.monotonic() + PATIENCE, False
        while sum(code != 1 for code, *_ in self.replies) < count:
            while self.next < min(len(self.payloads), self.consumed + SLOTS):
                self.send(DATA, self.payloads[self.next])
                self.next += 1
            frame = self.frame()
            if frame and self.take(frame, quiet):
                quiet = False
            elif frame is None or not self.asked:
                self.send(RESEND)
                self.asked, quiet = True, frame is None
        replies, self.replies = self.replies, []
        return replies

    def take(self, frame, quiet):
        """Whether ``frame`` was in order. After silence, it tells what must be sent again."""
        kind, number, ack, consumed, payload = frame
        consumed = self.consumed + (consumed - self.consumed) % 256
        ack = consumed + (ack - consumed) % 256
        lead = (number - self.expected) % 256
        if ack > len(self.payloads) or 0 < lead < 128:
            return False
        if consumed > self.consumed or kind == DATA:
            self.end = time.monotonic() + PATIENCE
        self.consumed, self.next = consumed, ack if kind == GAP or quiet else max(self.next, ack)
        self.asked &= lead > 0
        if lead == 0 and kind == DATA:
            self.expected += 1
            self.replies += replies_in(payload)
            self.send(ACK)
        return True


def store(target, words, bits, width):
    """Commands that write words of ``bits`` bits, each a list of fields of ``width`` bits."""
    yield command(SELECT, target, 0)
    for fields in words:
        word = sum((field & (1 << width) - 1) << width * n for n, field in enumerate(fields))
        for chunk in struct.iter_unpack("<i", word.to_bytes(-(-bits // 32) * 4, "little")):
            yield command(WRITE, 0, *chunk)


with serial.Serial(sys.argv[1], 2_000_000, timeout=QUIET, exclusive=True) as port:
    link = Link(port)
    identity = link.exchange([command(SELECT, IDENTITY, 0), command(READ, 0, 11)], 11)
    _, _, lanes, group, *_, readout_lanes, bits = (value for _, value in identity)
    unit = [*BIAS, THRESHOLD, *[0, 0, 0, 0, 1 << 15] * (group - 1)]
    commands = [*store(REGISTERS, [[value] for value in MODEL], 32, 32)]
    commands += store(WEIGHTS, [W_IN, W_REC], lanes * bits, bits)
    commands += store(PARAMETERS, [unit], 80 * group, 16)
    commands += store(READOUT_ROWS, OUT, readout_lanes * bits, bits)
    commands += [command(RESET)]
    for value in INPUTS:
        commands += [command(EVENT, 0, value)] * (value != 0) + [command(STEP)]
    commands += [command(READOUT), command(SELECT, STATE, 0), command(READ, 0, 1)]
    print([value for _, *value in link.exchange(commands, len(INPUTS) + 2)])
