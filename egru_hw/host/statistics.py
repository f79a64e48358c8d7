"""What a line has carried."""

from dataclasses import astuple, dataclass

from egru_hw.link.frames import BAUD

BITS_PER_BYTE = 10
"""On the line: with a start bit and a stop bit."""


@dataclass
class Statistics:
    """Counts since a line was opened.

    Attributes:
        sent, received: bytes, with what frames and repetitions add, without padding.
        repeated: DATA frames that were sent again.
        mended: errors in either direction that a repetition has mended: frames that arrived
            damaged, or were missing.
        seconds: in which anything was under way.
    """

    sent: int = 0
    received: int = 0
    repeated: int = 0
    mended: int = 0
    seconds: float = 0.0

    def __sub__(self, earlier: "Statistics") -> "Statistics":
        """What has crossed the line since ``earlier``."""
        return Statistics(*(a - b for a, b in zip(astuple(self), astuple(earlier), strict=True)))

    @property
    def share(self) -> float:
        """Of the capacity of the line's busier direction that was used in ``seconds``."""
        capacity = self.seconds * BAUD / BITS_PER_BYTE
        return max(self.sent, self.received) / capacity if capacity else 0.0
