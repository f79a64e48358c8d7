"""Networks that were trained elsewhere: state dicts of EvNN's EGRU and of torch.nn.GRU.

EvNN stores weights as (C, 3H) and (H, 3H) with the gates in the order z, r, n; here they are
(3H, C) and (3H, H) in the order r, z, n, as in torch.nn.GRU. The equations are the same.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from golden.network.network import Network

EVNN = {
    "weight_ih": "kernel",
    "weight_hh": "recurrent_kernel",
    "bias_ih": "bias",
    "bias_hh": "recurrent_bias",
    "threshold": "thr",
}
"""Our names of a layer's parameters, and EvNN's."""

HEIGHT, SUPPORT = "dampening_factor", "pseudo_derivative_support"
NO_PART = ("_max_norm", "alpha")  # of EvNN's state dict, without a meaning for a trained network
NESTED = ("state_dict", "model_state_dict", "model")
"""Keys of checkpoints behind which a state dict may lie."""

Tensors = Mapping[str, np.ndarray]


class Found(NamedTuple):
    """Recurrent layers in a state dict.

    Attributes:
        cell: name of their cell.
        layers: per layer the parameters by our names, without the layer's number.
        names: of the tensors that they are made of.
        options: of the cell.
    """

    cell: str
    layers: list[dict[str, np.ndarray]]
    names: set[str]
    options: dict[str, float]


def read_state(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict in a .safetensors file, or in a file of ``torch.save``.

    Raises:
        ValueError: there is no such file, or it holds anything else.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}: correct the path")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is not a readable safetensors file ({error})") from None
    try:
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # the unpickler raises many kinds
        raise ValueError(
            f"{path} holds more than tensors, or is damaged: save the state dict alone, with "
            f"torch.save(network.state_dict(), path)"
        ) from None
    for key in NESTED:
        if isinstance(held, dict) and isinstance(held.get(key), dict):
            held = held[key]
    if not isinstance(held, dict) or not all(isinstance(v, torch.Tensor) for v in held.values()):
        raise ValueError(f"{path} holds no state dict: expected tensors by name")
    return {name: tensor.detach().double().numpy() for name, tensor in held.items()}


def network_of(tensors: Tensors, readout: str) -> Network:
    """The network whose state dict is ``tensors``: layers of one width, then a linear read-out.

    Args:
        readout: name of the kind of read-out, which a state dict does not tell.

    Raises:
        ValueError: there is anything else in it, or something is missing.
    """
    found = _evnn(tensors) if any(_is_kernel(name) for name in tensors) else _gru(tensors)
    sizes = [layer["weight_hh"].shape[-1] for layer in found.layers]
    inputs = [layer["weight_ih"].shape[-1] for layer in found.layers]
    if len(set(sizes)) > 1 or inputs[1:] != sizes[:-1]:
        raise ValueError(
            f"its layers read {inputs} values and have {sizes} units: expected layers of one "
            f"width, each reading the one below"
        )
    rest = {n: v for n, v in tensors.items() if n not in found.names}
    weight, bias = _linear(rest, sizes[-1])
    network = Network(
        inputs[0], sizes[0], len(weight), len(sizes), found.cell, readout, **found.options
    )
    state = {"readout.weight": weight, "readout.bias": bias}
    for number, layer in enumerate(found.layers):
        state |= {f"{found.cell}.{name}_l{number}": value for name, value in layer.items()}
    network.load_state_dict({n: torch.from_numpy(np.array(v)).float() for n, v in state.items()})
    return network.eval()


def _is_kernel(name: str) -> bool:
    return name.rpartition(".")[2] == EVNN["weight_hh"]


def _evnn(tensors: Tensors) -> Found:
    prefixes = sorted(
        (n[: -len(EVNN["weight_hh"])] for n in tensors if _is_kernel(n)), key=_natural
    )
    layers, names, surrogates = [], set(), set()
    for prefix in prefixes:
        own = {ours: _take(tensors, prefix + theirs) for ours, theirs in EVNN.items()}
        units = len(own["threshold"])
        shapes = {"weight_hh": (units, 3 * units), "bias_ih": (3 * units,), "bias_hh": (3 * units,)}
        shapes["weight_ih"] = (own["weight_ih"].shape[0], 3 * units)
        for name, shape in shapes.items():
            _check_shape(prefix + EVNN[name], own[name], shape)
        layer = {name: _reordered(own[name]) for name in shapes}
        layers.append(layer | {"threshold": own["threshold"]})
        height, support = (tensors.get(prefix + name, np.ones(1)) for name in (HEIGHT, SUPPORT))
        surrogates.add((float(height[0]), 1 / float(support[0])))
        own_names = (*EVNN.values(), HEIGHT, SUPPORT, *NO_PART)
        names |= {prefix + name for name in own_names}
    surrogate = surrogates.pop()
    if surrogates:
        raise ValueError("its layers have different surrogate gradients: expected the same in all")
    options = dict(zip(("surrogate_height", "surrogate_width"), surrogate, strict=True))
    return Found("egru", layers, names, options)


def _reordered(values: np.ndarray) -> np.ndarray:
    """(3H, ...) with the gates r, z, n, from (..., 3H) with the gates z, r, n."""
    z, r, n = np.split(values.T, 3)
    return np.concatenate([r, z, n])


def _gru(tensors: Tensors) -> Found:
    pattern = re.compile(r"(.*)weight_hh_l(\d+)(_reverse)?$")
    matches = [match for name in tensors if (match := pattern.match(name))]
    if not matches:
        raise ValueError(
            "it has neither layers of EvNN's EGRU (kernel, recurrent_kernel, ...) nor of "
            "torch.nn.GRU (weight_ih_l0, weight_hh_l0, ...)"
        )
    prefixes = {match[1] for match in matches}
    if len(prefixes) > 1 or any(match[3] for match in matches):
        what = "directions" if any(match[3] for match in matches) else "recurrent modules"
        raise ValueError(f"it has several {what}: expected one torch.nn.GRU that is read forwards")
    (prefix,) = prefixes
    layers, names = [], set()
    for number in range(len(matches)):
        layer = {}
        weight = _take(tensors, f"{prefix}weight_hh_l{number}")
        units = weight.shape[-1]
        for name, shape in (
            ("weight_hh", (3 * units, units)),
            ("weight_ih", (3 * units, _take(tensors, f"{prefix}weight_ih_l{number}").shape[-1])),
            ("bias_ih", (3 * units,)),
            ("bias_hh", (3 * units,)),
        ):
            full = f"{prefix}{name}_l{number}"
            layer[name] = (
                tensors.get(full, np.zeros(3 * units)) if "bias" in name else tensors[full]
            )
            _check_shape(full, layer[name], shape)
            names.add(full)
        layers.append(layer)
    return Found("gru", layers, names, {})


def _linear(rest: Tensors, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Weight (K, H) and bias (K,) of the only linear map that is left."""
    fitting = [n for n, v in rest.items() if n.endswith("weight") and v.shape[1:] == (units,)]
    if len(fitting) != 1:
        raise ValueError(
            f"it has {len(fitting)} linear maps of {units} values: expected one, the read-out"
        )
    weight = rest[fitting[0]]
    bias_name = fitting[0].removesuffix("weight") + "bias"
    if others := sorted(rest.keys() - {fitting[0], bias_name}):
        raise ValueError(
            f"{others[0]} belongs neither to the recurrent layers nor to the read-out: save a "
            f"state dict of these alone"
        )
    bias = rest.get(bias_name, np.zeros(len(weight)))
    _check_shape(bias_name, bias, (len(weight),))
    return weight, bias


def _take(tensors: Tensors, name: str) -> np.ndarray:
    if name not in tensors:
        raise ValueError(f"it has no tensor {name}")
    return tensors[name]


def _check_shape(name: str, value: np.ndarray, shape: tuple[int, ...]) -> None:
    if value.shape != shape:
        raise ValueError(f"{name} has the shape {value.shape}: expected {shape}")


def _natural(name: str) -> list[Any]:
    """Sorts rnns.10 behind rnns.9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
