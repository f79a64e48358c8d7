"""Every figure of what a model costs, ready for JSON."""

from dataclasses import asdict
from typing import Any

import numpy as np

from egru_hw.contract.config import GATE_COUNT
from egru_hw.contract.image import needs
from egru_hw.contract.protocol import Counter
from egru_hw.cost.area import Area
from egru_hw.cost.search import Point
from golden.integer import IntegerEGRU


def summary(point: Point, model: IntegerEGRU, mhz: float) -> dict[str, Any]:
    """All figures of ``point``, which is of ``model``, for a clock of ``mhz``."""
    config, counters, latency = point.candidate.config, point.cost.counters, point.cost.latencies
    sequences, steps = len(point.cost.lengths), point.cost.steps
    cycles = point.cycles_per_step
    rows = counters[Counter.ROWS] / steps
    macs, dense = counters[Counter.MACS] / steps, dense_macs(model)
    return {
        "sequences": sequences,
        "steps_per_sequence": steps / sequences,
        "clock_mhz": mhz,
        "cycles_per_step": cycles,
        "latency_mean": float(latency.mean()),
        "latency_99_percent": float(np.quantile(latency, 0.99, method="higher")),
        "latency_worst": int(latency.max()),
        "lanes_busy": rows / cycles,
        "weight_rows_per_step": rows,
        "weight_bytes_per_step": rows * config.row_bits / 8,
        "macs_per_step": macs,
        "dense_macs_per_step": dense,
        # A dense network takes the lanes a cycle for each row, whatever its update takes.
        "dense_cycles_per_step_at_least": needs(model, config)["weight_rows"],
        "performed_gops": 2e-3 * macs * mhz / cycles,
        "effective_gops": 2e-3 * dense * mhz / cycles,
        **area_facts(point.area),
        "variants": list(point.variants),
        "energy_nj_per_step": energy_facts(point),
        "counters": {counter.name.lower(): value for counter, value in counters.items()},
        "config": asdict(config),
    }


def area_facts(area: Area) -> dict[str, Any]:
    """Area and clock, and where they are from, ready for JSON."""
    return {
        "resources": dict(area.used),
        "resources_are": "recorded" if area.build else "interpolated",
        "mhz_reached": area.mhz,
        "mhz_is": "recorded" if area.placed else "interpolated",
        "placement_seed": area.placed.placement_seed if area.placed else None,
        "tools": dict(area.build.tools) if area.build else None,
    }


def energy_facts(point: Point) -> dict[str, Any]:
    """The estimate of a step's energy in nJ, ready for JSON."""
    energy = point.energy
    return {
        "is": "an estimate: see egru_hw/cost/energy.toml",
        "variant": point.variants[0],
        "dynamic": energy.dynamic._asdict(),
        "static": energy.static._asdict(),
        "total": energy.total._asdict(),
    }


def dense_macs(model: IntegerEGRU) -> int:
    """Multiply-accumulates per step if every input and every unit had an event."""
    return sum(
        GATE_COUNT * layer.hidden_size * (layer.input_size + layer.hidden_size)
        for layer in model.layers
    )
