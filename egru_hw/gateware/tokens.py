"""The elements of the accelerator's internal streams, in order: events and markers."""

from amaranth.lib import data, enum

from egru_hw.contract.config import Config, bits_for
from golden.integer import numerics


class Kind(enum.Enum, shape=2):
    """What an element of an internal stream means."""

    EVENT = 0  # of a unit or an input
    UPDATE = 1  # all events of a layer's step were sent: its units can be updated
    READOUT = 2  # send the read-out, then clear it
    RESET = 3  # a new sequence begins


class Source(enum.Enum, shape=1):
    """Where an event comes from: it selects weights, alignment and gate n's accumulator."""

    INPUT = 0
    RECURRENT = 1


def job_layout(config: Config) -> data.StructLayout:
    """A marker on its way to the unit update."""
    return data.StructLayout(
        {
            "kind": Kind,
            "layer": bits_for(config.max_layers),
            "bank": 1,
            "first": 1,  # first step of a sequence: states are zero
            "any_input": 1,  # accumulators without an event hold stale sums: read as 0
            "any_recurrent": 1,
        }
    )


def tag_layout(config: Config) -> data.StructLayout:
    """What an event or marker carries through the weight fetch to the lanes."""
    return data.StructLayout(
        {
            "job": job_layout(config),
            "source": Source,
            "first_of_job": 1,  # overwrite the sums of r and z instead of adding
            "first_of_source": 1,  # overwrite gate n's sum of this source
        }
    )


def spike_layout(config: Config) -> data.StructLayout:
    """The output of the unit update: events, and each marker after its events."""
    return data.StructLayout(
        {
            "kind": Kind,
            "layer": bits_for(config.max_layers),
            "unit": bits_for(config.max_units),
            "value": numerics.EVENT.width,
        }
    )
