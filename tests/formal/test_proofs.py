"""The queues, and the repetition of frames, proven for every input."""

import pytest
from amaranth.hdl import Assert, Elaboratable, Module, Signal

from tests.formal.inbox import InboxProperties
from tests.formal.outbox import OutboxProperties
from tests.formal.prover import Unproven, prove
from tests.formal.queue import QueueProperties


@pytest.mark.parametrize("depth", [1, 6, 16])
def test_a_queue_neither_loses_nor_invents_nor_reorders(depth):
    prove(QueueProperties(depth), 2)


def test_the_inbox_hands_over_exactly_the_packets_of_the_frames_it_stored():
    prove(InboxProperties(), 2)


def test_the_outbox_keeps_every_payload_until_it_is_acknowledged():
    prove(OutboxProperties(), 2)


class Below(Elaboratable):
    """A counter that is claimed to stay below a limit."""

    def __init__(self, limit: int):
        self.limit = limit

    def elaborate(self, platform):
        m = Module()
        count = Signal(4)
        m.d.sync += count.eq(count + 1)
        m.d.comb += Assert(count < self.limit)
        return m


@pytest.mark.parametrize("limit", [1, 15])
def test_a_property_that_fails_at_once_or_later_is_not_proven(limit):
    with pytest.raises(Unproven, match="Assert failed"):
        prove(Below(limit), 2)
    prove(Below(16), 2)
