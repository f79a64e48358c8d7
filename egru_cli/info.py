"""``egru info``: what is connected to a serial port."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from egru_cli.console import results
from egru_cli.port import Port, connected, link_facts
from egru_hw.contract.config import Config
from egru_hw.contract.image import build_image
from egru_hw.host.device import Device
from golden.integer import numerics
from golden.model_file import load, shipped


def main(
    port: Port = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show what is connected to a serial port.

    That is the accelerator's sizes and formats, the version of the protocol, the model that it
    holds since power-up, the counters since then, and the state of the link.
    """
    with connected(port) as device:
        facts = _facts(device)
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        results.print(_table(facts))


def _facts(device: Device) -> dict[str, Any]:
    info = device.info()
    facts = {
        "presets": info.presets,
        "identity": f"{info.identity:08x}",
        "protocol": info.version,
        "sizes": asdict(info.config),
        "formats": {name: str(form) for name, form in _formats(info.config).items()},
        "model": _model(info.model, info.config),
        "counters": {counter.name.lower(): count for counter, count in info.counters.items()},
    }
    return facts | {"link": link_facts(info.line)} if info.line else facts


def _formats(config: Config) -> dict[str, numerics.Format]:
    return {
        "input": numerics.Format(numerics.VALUE_BITS, 0),
        "event": numerics.EVENT,
        "weight": numerics.weight_format(config.weight_bits),
        "bias": numerics.BIAS,
        "threshold": numerics.THRESHOLD,
        "state": numerics.STATE,
        "accumulator": numerics.ACCUMULATOR,
        "readout_accumulator": numerics.READOUT_ACCUMULATOR,
    }


def _model(digest: int, config: Config) -> str | None:
    """The name of the shipped model of that digest, or the digest; None if it stands for none."""
    if digest == 0:
        return None
    for name in shipped():
        try:
            if build_image(load(name).twin(), config).digest == digest:
                return name
        except ValueError:
            continue  # it does not fit
    return f"{digest:08x}"


def _table(facts: dict[str, Any]) -> Table:
    """A row for each fact."""
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, fact in facts.items():
        parts = fact if isinstance(fact, dict) else {name: fact}
        for part, value in parts.items():
            table.add_row(part.replace("_", " "), _shown(value))
        table.add_section()
    return table


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "none" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
