"""Model files: a trained network, its integer model and their provenance, in one file.

A file is in safetensors format. Its metadata hold one JSON text, ``egru_model``, with the
format's version, a checksum of all else in the file, the shapes and numeric formats, and the
task, training and results. The tensors are ``float.*``, the network's parameters in float32,
and ``integer.*`` in the narrowest type that holds them; networks without an integer twin lack
these. Reading the integer model needs no torch.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from golden import output
from golden.cells import CELLS
from golden.encoding import Encoder
from golden.integer import IntegerEGRU, IntegerLayer, IntegerReadout
from golden.integer.numerics import VALUE_BITS, Format
from golden.lengths import blank, checked
from golden.limits import LAYERS
from golden.objective import OBJECTIVES, Objective
from golden.prediction import Prediction
from golden.preparation import Preparation
from golden.readouts import readout_kind
from golden.scaling import Scaling

if TYPE_CHECKING:
    from golden.network.network import Network
    from golden.network.word_network import WordNetwork

VERSION = 2
MODELS = Path(__file__).parent / "models"
KEY = "egru_model"  # the only key: several would be stored in random order
DEEPEST = 20  # levels of a header that are read: recursive programs can follow that many


class ModelFileError(ValueError):
    """A file that is no model this version can read; the message says what to do."""


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What :func:`load` returns.

    Attributes:
        path: where it was read.
        integer: the integer model, or None.
        config: what was given to :func:`save`: task, training, results; its ``targets`` are
            "values" if the outputs are not logits of classes.
        network_config: arguments of the :class:`golden.network.network.Network`, or, with an
            ``embedding_size``, of the :class:`golden.network.word_network.WordNetwork`.
        parameters: its parameters by name, float32.
    """

    path: Path
    integer: IntegerEGRU | None
    config: dict[str, Any]
    network_config: dict[str, Any]
    parameters: dict[str, np.ndarray]

    @property
    def objective(self) -> Objective:
        """What the outputs are: logits of classes, or values."""
        return OBJECTIVES[self.config.get("targets", "classes")]

    @property
    def scaling(self) -> Scaling | None:
        """By what the inputs must be scaled, if at all."""
        values = self.config.get("scaling")
        return Scaling.from_json(values) if values else None

    @property
    def target_scaling(self) -> Scaling | None:
        """By what the targets were scaled that the models predict, if at all."""
        values = self.config.get("target_scaling")
        return Scaling.from_json(values) if values else None

    @property
    def preparation(self) -> Preparation:
        """What becomes of a user's sequences before the models read them."""
        values = self.config.get("encoder")
        return Preparation(self.scaling, Encoder.from_json(values) if values else None)

    def unscaled(self, outputs: np.ndarray) -> np.ndarray:
        """The models' real outputs (..., K) in the units of a user's targets; logits stay as they
        are."""
        return self.target_scaling.inverse(outputs) if self.target_scaling else outputs

    def twin(self) -> IntegerEGRU:
        """The integer model.

        Raises:
            ModelFileError: there is none.
        """
        if self.integer is None:
            raise ModelFileError(
                f"{self.path} holds a network without an integer model: use a model of an EGRU "
                f"that has one"
            )
        return self.integer

    def predict(
        self, inputs, kind: Literal["integer", "float"] = "integer", lengths=None
    ) -> Prediction:
        """Classes and probabilities, or values, for sequences of real numbers.

        Args:
            inputs: (N, T, C), or (T, C) for a single sequence, which is returned with N = 1.
            kind: which of the two models runs; "float" needs PyTorch.
            lengths: (N,), how many of the T steps each sequence has; all if omitted.

        Raises:
            ValueError: the inputs do not fit the model, or are not finite; or the lengths do not
                fit the inputs.
        """
        if kind not in ("integer", "float"):
            raise ValueError(f"kind must be 'integer' or 'float', not {kind!r}")
        features = self.network_config.get("input_size")
        if features is None:
            raise ModelFileError(
                f"{self.path} holds a model of words, which takes no real numbers: call "
                f"network() with words (N, T)"
            )
        x = np.asarray(inputs, dtype=np.float64)
        x = x[None] if x.ndim == 2 else x
        if x.ndim != 3 or x.shape[2] != features or 0 in x.shape:
            raise ValueError(f"inputs must have the shape (N, T, {features}), not {x.shape}")
        ends = checked(lengths, *x.shape[:2])
        x = blank(x, ends)
        if not np.isfinite(x).all():
            raise ValueError("inputs must be finite, but some are NaN or infinite")
        x = self.preparation(x)
        if kind == "integer":
            model = self.twin()
            result = model.run(model.quantize_inputs(x), lengths=ends)
            outputs = self.unscaled(model.logits(result.outputs, ends))
            return Prediction(outputs, self.objective, ends)
        network = self.network()
        import torch

        given = None if lengths is None else torch.from_numpy(ends)
        with torch.no_grad():
            outputs = network(torch.as_tensor(x, dtype=torch.float32), lengths=given)
        return Prediction(self.unscaled(outputs.double().numpy()), self.objective, ends)

    def network(self) -> "Network | WordNetwork":
        """The float network. ``ModuleNotFoundError`` names the extra if PyTorch is missing."""
        try:
            import torch
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "the float network needs PyTorch: install the extra egru-hw[train]", name="torch"
            ) from None

        from golden.network.network import Network
        from golden.network.word_network import WordNetwork

        kind = WordNetwork if "embedding_size" in self.network_config else Network
        try:
            network = kind(**self.network_config)
        except (TypeError, ValueError) as error:
            raise ModelFileError(
                f"{self.path}: its network cannot be built ({error}); train or copy the file again"
            ) from None
        network.load_state_dict({k: torch.from_numpy(v) for k, v in self.parameters.items()})
        return network.eval()


def save(
    path: str | Path,
    network: "Network | WordNetwork",
    integer: IntegerEGRU | None,
    config: dict[str, Any],
) -> None:
    """Write the models and ``config`` (JSON: task, training, results) to ``path``.

    The file appears whole or not at all, and the same arguments give the same bytes.

    Raises:
        ModelFileError: :func:`load` would refuse it; nothing is written.
        OutputError: something is there that is no regular file.
    """
    output.write(path, encode(path, network, integer, config))


def encode(
    path: str | Path,
    network: "Network | WordNetwork",
    integer: IntegerEGRU | None,
    config: dict[str, Any],
) -> bytes:
    """The content of the file that :func:`save` writes; the same arguments and errors."""
    from golden.network.network import Network
    from golden.network.word_network import WordNetwork

    try:
        if not isinstance(network, Network | WordNetwork):
            raise ValueError(
                f"the network must be a golden.Network or golden.WordNetwork, not "
                f"{type(network).__name__}"
            )
        tensors = {
            f"float.{name}": np.ascontiguousarray(tensor.detach().cpu().float().numpy())
            for name, tensor in network.state_dict().items()
        }
        header = {
            "version": VERSION,
            "network": network.config,
            "integer": None if integer is None else _encode_integer(integer, tensors),
            "config": config,
        }
        text = json.dumps({**header, "checksum": _checksum(header, tensors)})
        _decode(text, dict(tensors))
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{path} was not written, as it could not be read back: {error}"
        ) from None
    return to_bytes(tensors, {KEY: text})


def _checksum(header: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    """A digest of all that a file holds."""
    digest = hashlib.sha256(json.dumps(header, allow_nan=False).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def _encode_integer(integer: IntegerEGRU, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Its header; adds its arrays to ``tensors``."""
    if integer.readout is None:
        raise ValueError("the integer model has no read-out where the network has one")
    layers = []
    for index, layer in enumerate(integer.layers):
        for name, dtype in _LAYER_TYPES.items():
            tensors[f"integer.layer{index}.{name}"] = getattr(layer, name).astype(dtype)
        layers.append(
            {
                "input_alignment": layer.input_alignment,
                "recurrent_alignment": layer.recurrent_alignment,
            }
        )
    for name in _READOUT_FIELDS:
        tensors[f"integer.readout.{name}"] = getattr(integer.readout, name).astype(np.int8)
    readout = {
        "fraction": integer.readout.fraction,
        "bias_operand": integer.readout.bias_operand,
    }
    return {
        "weight_bits": integer.weight_bits,
        "input_fraction": integer.input_format.fraction,
        "one_hot": integer.one_hot,
        "layers": layers,
        "readout": readout,
    }


def shipped() -> dict[str, Path]:
    """The trained models that come with this package, by name."""
    return {path.stem: path for path in sorted(MODELS.glob("*.safetensors"))}


def find(model: str | Path) -> Path:
    """The path of a model file, or of a shipped model named ``model``.

    Raises:
        ModelFileError: there is neither.
    """
    path = Path(model)
    if not path.is_file() and str(model) in shipped():
        return shipped()[str(model)]
    if not path.is_file():
        raise ModelFileError(
            f"there is no model file at {str(model) or 'the empty path'}: correct the path, or use "
            f"a shipped model ({', '.join(shipped())})"
        )
    return path


def load(path: str | Path) -> ModelFile:
    """Read and check a model file, or the shipped model of that name.

    Raises:
        ModelFileError: it is not an intact model file of this version.
    """
    path = find(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"{path} is not a readable safetensors file ({error}): it is damaged or of another "
            f"kind, so train or copy it again"
        ) from None
    if KEY not in metadata:
        raise ModelFileError(
            f"{path} is a safetensors file but no EGRU model (its metadata have no {KEY!r}): "
            f"use a file written by golden.save_model"
        )
    try:
        return ModelFile(path, *_decode(metadata[KEY], tensors))
    except ValueError as error:
        raise ModelFileError(f"{path}: {error}; train the model or copy the file again") from None


_LAYER_TYPES = {
    "weight_input": np.int8,
    "weight_recurrent": np.int8,
    "bias": np.int16,
    "threshold": np.uint16,
}
_READOUT_FIELDS = ("weight", "bias")
_SIZES = ("input_size", "hidden_size", "outputs", "num_layers", "words", "embedding_size")


def _decode(
    text: str, tensors: dict[str, np.ndarray]
) -> tuple[IntegerEGRU | None, dict[str, Any], dict[str, Any], dict[str, np.ndarray]]:
    """What a :class:`ModelFile` holds beside its path, from the metadata and the tensors.

    Raises:
        ValueError: they are not what :func:`encode` makes.
    """
    try:
        header = json.loads(text)
        _check_depth(header)
        version = header["version"]
    except (json.JSONDecodeError, KeyError, TypeError, RecursionError):
        raise ValueError(f"the metadata {KEY!r} are not the expected JSON object") from None
    if type(version) is not int or version != VERSION:
        raise ValueError(f"it has format version {version!r} where {VERSION} was expected")
    if header.pop("checksum", None) != _checksum(header, tensors):
        raise ValueError("it has changed since it was written, as its checksum shows")

    def take(name: str, dtype, shape: tuple[int, ...]) -> np.ndarray:
        if name not in tensors:
            raise ValueError(f"the tensor {name} is missing")
        tensor = tensors.pop(name)
        if tensor.dtype != dtype or tensor.shape != shape:
            raise ValueError(
                f"the tensor {name} is {tensor.dtype} of {tensor.shape} "
                f"where {np.dtype(dtype)} of {shape} was expected"
            )
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise ValueError(f"the tensor {name} has values that are NaN or infinite")
        return tensor

    try:
        network, integer, config = header["network"], header["integer"], header["config"]
        parameters = {
            name: take(f"float.{name}", np.float32, shape)
            for name, shape in _parameter_shapes(network).items()
        }
        model = None if integer is None else _decode_integer(integer, network, take)
        _check_config(config, network)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its configuration is incomplete or mistyped ({error})") from None
    if tensors:
        raise ValueError(f"the tensor {min(tensors)} does not belong to a model")
    return model, config, network, parameters


def _check_depth(value: Any, levels: int = DEEPEST) -> None:
    """Refuse JSON that is nested more deeply than ``levels``."""
    if not levels:
        raise RecursionError
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _check_depth(part, levels - 1)


def _check_config(config: Any, network: dict[str, Any]) -> None:
    """Checks those entries on the training that programs read."""
    if not isinstance(config, dict):
        raise TypeError(f"{config!r} where a dict was expected")
    kinds = {"task": str, "options": dict, "training": dict, "results": dict}
    for name, kind in kinds.items():
        if not isinstance(value := config.get(name, kind()), kind):
            raise TypeError(f"{name}: {value!r} where a {kind.__name__} was expected")
    if config.get("targets", "classes") not in OBJECTIVES:
        raise TypeError(f"targets: {config['targets']!r} where classes or values were expected")
    symbols = config.get("symbols", [])
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise TypeError(f"symbols: {symbols!r} where a list of strings was expected")
    if scaling := config.get("scaling"):
        features = len(Scaling.from_json(scaling).mean)
        if features != network["input_size"]:
            raise ValueError(f"its scaling is of {features} features, not {network['input_size']}")
    if encoder := config.get("encoder"):
        Encoder.from_json(encoder)
    if scaling := config.get("target_scaling"):
        targets = len(Scaling.from_json(scaling).mean)
        if targets != network["outputs"]:
            raise ValueError(f"its scaling is of {targets} targets, not {network['outputs']}")
    if "data" in config.get("options", {}):
        raise TypeError("the options contain the data path")


def _parameter_shapes(network: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    for name, value in network.items():
        if name in _SIZES and (type(value) is not int or value < 1):
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    if network["num_layers"] > LAYERS:
        raise ValueError(f"num_layers must be at most {LAYERS}, not {network['num_layers']}")
    cell, layers, size = CELLS[network["cell"]], network["num_layers"], network["hidden_size"]
    if "embedding_size" in network:
        words, last = network["words"], network["embedding_size"]
        sizes = [last, *[size] * (layers - 1), last]
        names = [f"layers.{layer}.{{}}_l0" for layer in range(layers)]
        shapes = {"embedding.weight": (words, last), "bias": (words,)}
    else:
        outputs = network["outputs"]
        sizes = [network["input_size"], *[size] * layers]
        names = [f"{cell.name}.{{}}_l{layer}" for layer in range(layers)]
        shapes = {"readout.weight": (outputs, size), "readout.bias": (outputs,)}
    for name, inputs, units in zip(names, sizes[:-1], sizes[1:], strict=True):
        for parameter, shape in cell.parameter_shapes(inputs, units).items():
            shapes[name.format(parameter)] = shape
    return shapes


def _decode_integer(integer: dict[str, Any], network: dict[str, Any], take) -> IntegerEGRU:
    size, outputs = network["hidden_size"], network["outputs"]
    if len(integer["layers"]) != network["num_layers"]:
        raise ValueError(
            f"it has {len(integer['layers'])} layers where {network['num_layers']} were expected"
        )
    layers, inputs = [], network["input_size"]
    for index, alignments in enumerate(integer["layers"]):
        shapes = {
            "weight_input": (3 * size, inputs),
            "weight_recurrent": (3 * size, size),
            "bias": (4, size),
            "threshold": (size,),
        }
        arrays = {
            name: take(f"integer.layer{index}.{name}", dtype, shapes[name])
            for name, dtype in _LAYER_TYPES.items()
        }
        layers.append(
            IntegerLayer(
                **arrays,
                input_alignment=alignments["input_alignment"],
                recurrent_alignment=alignments["recurrent_alignment"],
            )
        )
        inputs = size
    scales = integer["readout"]
    readout = IntegerReadout(
        take("integer.readout.weight", np.int8, (outputs, size)),
        take("integer.readout.bias", np.int8, (outputs,)),
        scales["fraction"],
        scales["bias_operand"],
        readout_kind(network["readout"]),
    )
    input_format = Format(VALUE_BITS, integer["input_fraction"])
    return IntegerEGRU(
        tuple(layers), input_format, readout, integer["weight_bits"], integer["one_hot"]
    )
