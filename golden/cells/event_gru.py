"""The event-based GRU as a PyTorch module.

Subramoney et al., *Efficient recurrent architectures through activity sparsity and sparse
back-propagation through time*, ICLR 2023. Per layer and step, with ``torch.nn.GRU``'s gates::

    r = sigmoid(W_r x + b_ir + R_r y + b_hr)        y: the events of the step before
    z = sigmoid(W_z x + b_iz + R_z y + b_hz)
    g = tanh(W_n x + b_in + r * (R_n y + b_hn))
    c = z * h + (1 - z) * g
    o = c > threshold                               a unit fires ...
    y = o * c                                       ... its value ...
    h = c - o * threshold                           ... and is reset softly
"""

import warnings
from collections.abc import Iterable
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from golden.cells.egru import CELL
from golden.cells.layout import transposed
from golden.cells.surrogate import threshold_event, unit_interval
from golden.limits import LAYERS

try:
    from golden import core
except ImportError as error:
    core = None  # type: ignore[assignment]
    core_missing = error

TRACE_DECAY = 0.9
NO_TORCHSCRIPT = (
    "an EGRU cannot be traced or scripted by torch.jit: use torch.export.export or torch.compile"
)

State = tuple[Tensor, ...]
Weights = tuple[Tensor, ...]

KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "threshold")
NAMES = [tuple(f"{kind}_l{layer}" for kind in KINDS) for layer in range(LAYERS)]
"""Names of the parameters of each layer."""


class EGRU(nn.Module):
    """Multi-layer event-based GRU with the conventions of :class:`torch.nn.GRU`.

    Per layer ``k`` the parameters are ``weight_ih_lk`` (3H, C), ``weight_hh_lk`` (3H, H),
    ``bias_ih_lk`` and ``bias_hh_lk`` (3H), gates in the order (r, z, n), and ``threshold_lk``
    (H), which is used clamped to [0, 1].

    Args:
        input_size: features per step, C.
        hidden_size: units per layer, H.
        num_layers: stacked layers; each reads the events of the one below.
        batch_first: inputs and outputs are (N, T, ·) instead of (T, N, ·).
        dropout: probability of zeroing an event on its way to the layer above, in training.
        zoneout: probability that a unit keeps its state for a step, in [0, 1); evaluation
            uses the expectation.
        drop_connect: probability of dropping a recurrent weight, drawn per call, in training.
        surrogate_height: peak of the threshold's surrogate derivative.
        surrogate_width: distance from the threshold, in units of the state, at which the
            surrogate derivative reaches zero.
        threshold_mean: mean of the Beta(3m / (1 - m), 3) distribution that thresholds are
            drawn from, in (0, 1).
        update_bias: initial bias of the update gate: the higher, the longer a unit keeps its
            state, as with an LSTM's forget bias.
        update_bias_spread: initial biases of the update gate are uniform in ``update_bias`` ±
            this, so that time constants cover a range. A bias b is a time constant of 1 + e^b
            steps.
        input_gain: gain of the Xavier-normal initial input weights of the first layer.
        recurrent_gain: gain of the Xavier-normal initial recurrent weights.
        trace: also return the exponential trace of the last layer's events,
            ``trace = 0.9 trace + 0.1 y``.
        backend: "core" is the C++ core, whose cost is proportional to the events; "torch" is
            PyTorch operations, the readable reference; "auto" is the core where possible: on the
            CPU, in float32 and float64, without torch.func and forward-mode differentiation. The
            core has first derivatives only. Results are the same.

    Everything is computed in the type of the parameters, also under autocast. Parameters are
    contiguous; the core makes a transposed copy of the weights in every call, which
    :meth:`store_transposed` avoids. docs/parity.md lists what else differs from torch.nn.GRU.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        zoneout: float = 0.0,
        drop_connect: float = 0.0,
        surrogate_height: float = 0.7,
        surrogate_width: float = 1.0,
        threshold_mean: float = 0.3,
        update_bias: float = 0.0,
        update_bias_spread: float = 0.0,
        input_gain: float = 1.0,
        recurrent_gain: float = 1.0,
        trace: bool = False,
        backend: str = "auto",
        device=None,
        dtype=None,
    ):
        super().__init__()
        CELL.check_size(input_size, hidden_size, num_layers)
        for name, probability in (
            ("dropout", dropout),
            ("zoneout", zoneout),
            ("drop_connect", drop_connect),
        ):
            if not 0 <= probability < 1:
                raise ValueError(f"{name} must be a probability in [0, 1), not {probability!r}")
        for name, value in (
            ("surrogate_height", surrogate_height),
            ("update_bias_spread", update_bias_spread),
            ("recurrent_gain", recurrent_gain),
        ):
            if not value >= 0:
                raise ValueError(f"{name} must not be negative, not {value!r}")
        for name, value in (("surrogate_width", surrogate_width), ("input_gain", input_gain)):
            if not value > 0:
                raise ValueError(f"{name} must be positive, not {value!r}")
        if not 0 < threshold_mean < 1:
            raise ValueError(f"threshold_mean must lie in (0, 1), not {threshold_mean!r}")

        if backend not in ("auto", "core", "torch"):
            raise ValueError(f"backend must be 'auto', 'core' or 'torch', not {backend!r}")
        if core is None and backend == "core":
            raise ValueError(f"backend 'core' is missing: {core_missing}")
        if core is None and backend == "auto":
            _say_that_the_core_is_missing()

        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = dropout
        self.zoneout = zoneout
        self.drop_connect = drop_connect
        self.surrogate_height = surrogate_height
        self.surrogate_width = surrogate_width
        self.threshold_mean = threshold_mean
        self.update_bias = update_bias
        self.update_bias_spread = update_bias_spread
        self.input_gain = input_gain
        self.recurrent_gain = recurrent_gain
        self.trace = trace
        self.backend = backend

        for layer in range(num_layers):
            rows = 3 * hidden_size
            inputs = input_size if layer == 0 else hidden_size
            shapes = ((rows, inputs), (rows, hidden_size), (rows,), (rows,), (hidden_size,))
            for name, shape in zip(NAMES[layer], shapes, strict=True):
                parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                self.register_parameter(name, parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-normal weights for each gate, times their gains; zero biases except the update
        gate's; Beta-distributed thresholds."""
        bias, spread = self.update_bias, self.update_bias_spread
        mean = self.threshold_mean
        beta = torch.distributions.Beta(3 * mean / (1 - mean), 3.0)
        with torch.no_grad():
            for layer in range(self.num_layers):
                weight_ih, weight_hh, bias_ih, bias_hh, threshold = self.layer_parameters(layer)
                for weight in (weight_ih, weight_hh):
                    for gate in weight.chunk(3):
                        # Drawn row by row, whatever the layout of the parameter.
                        gate.copy_(nn.init.xavier_normal_(torch.empty_like(gate.contiguous())))
                if layer == 0:
                    weight_ih.mul_(self.input_gain)
                weight_hh.mul_(self.recurrent_gain)
                bias_ih.zero_()
                update_gate = bias_ih[self.hidden_size : 2 * self.hidden_size]
                update_gate.fill_(bias)
                if spread:  # otherwise nothing is drawn, and networks stay as they were
                    update_gate.uniform_(bias - spread, bias + spread)
                bias_hh.zero_()
                threshold.copy_(beta.sample(threshold.shape))

    def layer_parameters(self, layer: int) -> Weights:
        """``(weight_ih, weight_hh, bias_ih, bias_hh, threshold)`` of one layer."""
        # Quicker than getattr, but a parametrised parameter is not in this dict.
        own = cast(dict[str, Tensor], self._parameters)
        return tuple([own[n] if n in own else getattr(self, n) for n in NAMES[layer]])

    def store_transposed(self) -> None:
        """Store the weights as the core reads them, with the weights of an event contiguous.

        Calls with few steps of a large layer then take a fraction of the time, and training takes a
        few per cent less.

        Shapes and values stay, but the weights are no longer contiguous, which torch.optim.LBFGS,
        parameters_to_vector, pruning and safetensors need.
        """
        for layer in range(self.num_layers):
            for weight in self.layer_parameters(layer)[:2]:
                weight.data = transposed(weight.data)

    def flatten_parameters(self) -> None:
        """Does nothing; code written for torch.nn.GRU calls it."""

    def __prepare_scriptable__(self):  # torch.jit.script calls it
        raise RuntimeError(NO_TORCHSCRIPT)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("num_layers", 1),
            ("batch_first", False),
            ("dropout", 0.0),
            ("zoneout", 0.0),
            ("drop_connect", 0.0),
            ("trace", False),
            ("backend", "auto"),
        ):
            if (value := getattr(self, name)) != default:
                text += f", {name}={value}"
        return text

    def forward(self, x: Tensor | PackedSequence, state: State | None = None):
        """Run over a sequence.

        Args:
            x: (T, N, C), or (N, T, C) with ``batch_first``, or (T, C) for a single sequence, or a
                PackedSequence.
            state: as returned by an earlier call, to continue from; zeros if omitted.

        Returns:
            ``(y, state)``, or ``(y, state, trace)`` with ``trace=True``. ``y`` holds the last
            layer's event values, shaped or packed as ``x`` with H features: 0 where a unit is
            silent, in (threshold, 1] where it fires. ``state`` is the pair (y, h) of every layer
            after the last step of each sequence, each (num_layers, N, H), h being the state after
            reset; with ``trace=True`` it has the trace (N, H) as a third member.
        """
        if isinstance(x, PackedSequence) or x.dim() == 3:
            events, state, *trace = self._run(x, state)
            return events[-1], state, *trace
        if x.dim() != 2:
            raise ValueError(f"EGRU expects a 2-D or 3-D input, not {x.dim()}-D")
        axis = 0 if self.batch_first else 1
        state = None if state is None else tuple(s.unsqueeze(-2) for s in state)
        y, state, *trace = self.forward(x.unsqueeze(axis), state)
        return (
            y.squeeze(axis),
            tuple(s.squeeze(-2) for s in state),
            *(t.squeeze(axis) for t in trace),
        )

    def run_layers(self, x, state: State | None = None) -> tuple[tuple, State]:
        """Like a call with 3-D or packed inputs, but returns ``(events, state)``, with the events
        of every layer."""
        return self._run(x, state)[:2]

    def _run(self, x, state: State | None):
        """``(events, state)`` or ``(events, state, trace)``, laid out as ``x``: 3-D or packed."""
        values = x.data if isinstance(x, PackedSequence) else x
        dtype, device = cast(Tensor, self.threshold_l0).dtype, values.device.type
        if torch.jit.is_tracing():
            raise RuntimeError(NO_TORCHSCRIPT)
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            state = None if state is None else tuple(s.to(dtype) for s in state)
            with torch.autocast(device, enabled=False):
                return self._run(x.to(dtype), state)
        if values.dtype != dtype:
            raise ValueError(
                f"EGRU expects {dtype} inputs, like its parameters, not {values.dtype}: "
                f"convert one of them with .to()"
            )
        if (features := values.shape[-1]) != self.input_size:
            raise ValueError(f"EGRU expects {self.input_size} features a step, not {features}")
        if isinstance(x, PackedSequence):
            outputs, state = self._run_packed(x, state)
        else:
            if self.batch_first:
                x = x.transpose(0, 1)
            steps, count = x.shape[:2]
            if steps == 0:
                raise ValueError("EGRU expects at least one step")
            state = self._initial_state(x, state)
            outputs, state = self._run_steps(x, state, self._on_core(steps, count, x, *state), {})
            if self.batch_first:
                outputs = [o.transpose(0, 1) for o in outputs]
        return tuple(outputs[: self.num_layers]), state, *outputs[self.num_layers :]

    def _run_packed(self, x: PackedSequence, state: State | None):
        """As :meth:`_run_steps`, with packed outputs."""
        counts, lengths = x.batch_sizes.unique_consecutive(return_counts=True)
        shapes = list(zip(lengths.tolist(), counts.tolist(), strict=True))
        parts = x.data.split([length * count for length, count in shapes])
        # All steps of a segment have the same number of sequences. The last sequences end first.
        segments = [part.unflatten(0, shape) for part, shape in zip(parts, shapes, strict=True)]
        state = self._initial_state(segments[0], state)
        on_core = self._on_core(len(x.batch_sizes), segments[0].shape[1], x.data, *state)
        if x.sorted_indices is not None:
            state = tuple(s.index_select(-2, x.sorted_indices) for s in state)
        outputs: list[list[Tensor]] = []
        ended: list[State] = []
        weights: dict[int, Weights] = {}
        for segment in segments:
            if outputs:
                count = segment.shape[1]
                ended.append(tuple(s[..., count:, :] for s in state))
                state = tuple(s[..., :count, :] for s in state)
            found, state = self._run_steps(segment, state, on_core, weights)
            outputs.append([o.flatten(0, 1) for o in found])
        state = tuple(torch.cat(s, -2) for s in zip(state, *reversed(ended), strict=True))
        if x.unsorted_indices is not None:
            state = tuple(s.index_select(-2, x.unsorted_indices) for s in state)
        return [PackedSequence(torch.cat(o), *x[1:]) for o in zip(*outputs, strict=True)], state

    def _initial_state(self, x: Tensor, state: State | None) -> State:
        per_layer = (self.num_layers, x.shape[1], self.hidden_size)
        shapes = [per_layer, per_layer] + ([per_layer[1:]] if self.trace else [])
        if state is None:
            return tuple(x.new_zeros(shape) for shape in shapes)
        found = [tuple(s.shape) for s in state]
        if found != shapes:
            raise ValueError(f"EGRU expects a state of shapes {shapes}, not {found}")
        return tuple(state)

    def _run_steps(self, x: Tensor, state: State, on_core: bool, weights: dict[int, Weights]):
        """``(outputs, state)`` for inputs (T, N, C): the events of every layer, and the trace, if
        there is one. ``weights`` keeps the weights by layer, for the further parts of a call.
        """
        y0, h0, *trace0 = state
        run = self._run_on_core if on_core else self._run_operations
        events, last_y, last_h, near = [], [], [], None
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            if layer not in weights:
                weights[layer] = self._weights(layer, on_core)
            x, y, h, near = run(weights[layer], x, y0[layer], h0[layer], near)
            events.append(x)
            last_y.append(y)
            last_h.append(h)
        # Unlike y, h shares no memory with the outputs, so a view will do.
        h = last_h[0].unsqueeze(0) if self.num_layers == 1 else torch.stack(last_h)
        state = (torch.stack(last_y), h)
        if self.trace:
            trace, last_trace = _trace(x, trace0[0])
            return [*events, trace], (*state, last_trace)
        return events, state

    def _weights(self, layer: int, on_core: bool) -> Weights:
        """A layer's parameters as a call uses them: with drop-connect, in the core's layout."""
        weight_ih, weight_hh, bias_ih, bias_hh, threshold = self.layer_parameters(layer)
        if self.drop_connect:
            weight_hh = F.dropout(weight_hh, self.drop_connect, self.training)
        if on_core:
            weight_ih, weight_hh = transposed(weight_ih), transposed(weight_hh)
        return weight_ih, weight_hh, bias_ih, bias_hh, unit_interval(threshold)

    def _run_operations(self, weights: Weights, x: Tensor, y: Tensor, h: Tensor, near: None):
        """One layer over (T, N, ·) inputs from the state (y, h), each (N, H).

        Returns the event values (T, N, H), the state after the last step, and None.
        """
        weight_ih, weight_hh, bias_ih, bias_hh, theta = weights
        recurrent = weight_hh.t()
        size = self.hidden_size

        outputs = []
        for p in F.linear(x, weight_ih, bias_ih).unbind():
            q = torch.addmm(bias_hh, y, recurrent)
            r, z = torch.sigmoid(p[:, : 2 * size] + q[:, : 2 * size]).chunk(2, 1)
            g = torch.tanh(torch.addcmul(p[:, 2 * size :], r, q[:, 2 * size :]))
            c = torch.lerp(g, h, z)
            if self.zoneout:
                c = self._zoneout(c, h)
            o = threshold_event(c - theta, self.surrogate_height, self.surrogate_width)
            y = o * c
            h = torch.addcmul(c, o, theta, value=-1)
            outputs.append(y)
        return torch.stack(outputs), y, h, None

    def _run_on_core(self, weights: Weights, x: Tensor, y: Tensor, h: Tensor, near: Tensor | None):
        """As :meth:`_run_operations`, but ``near`` marks where the gradient of ``x`` is needed
        (uint8, shaped as ``x``; None: everywhere). The last result does this for the events.
        """
        zoneout, kept, grad = self.zoneout, None, torch.is_grad_enabled()
        if zoneout and self.training:
            kept = (torch.rand(*x.shape[:2], self.hidden_size, dtype=x.dtype) < zoneout).byte()
        y, h, _, near, _ = core.layer(
            x, *weights, y, h, kept, near, zoneout, self.surrogate_height, self.surrogate_width,
            grad,
        )  # fmt: skip
        return y, y[-1], h, near if grad else None

    def _on_core(self, steps: int, count: int, *inputs: Tensor) -> bool:
        if self.backend == "torch" or core is None:
            return False
        dtype = inputs[0].dtype
        fit = dtype in (torch.float32, torch.float64)
        for tensor in (*inputs, *self._parameters.values()):
            fit = fit and tensor is not None and tensor.dtype == dtype and tensor.is_cpu
        if self.backend == "core" and not fit:
            raise ValueError("backend 'core' needs float32 or float64 throughout, on the CPU")
        if core.is_transformed():
            if self.backend == "core":
                raise ValueError(
                    "backend 'core' supports neither torch.func nor forward-mode differentiation: "
                    "make the EGRU with backend='torch'"
                )
            return False
        # A compiled call serves any number of steps; a parametrised weight's layout is unknown.
        weight = self._parameters.get("weight_hh_l0")
        if self.backend == "core" or not fit or weight is None or torch.compiler.is_compiling():
            return fit
        return core.policy.worth_transposing(steps, count, weight)

    def _zoneout(self, c: Tensor, h: Tensor) -> Tensor:
        if self.training:
            return torch.where(torch.rand_like(c) < self.zoneout, h, c)
        return torch.lerp(c, h, self.zoneout)

    @classmethod
    def from_gru(cls, gru: nn.GRU, **options) -> "EGRU":
        """An EGRU with the weights of ``gru`` and freshly drawn thresholds.

        ``options`` are this class's own; sizes, layers, layout, dropout, dtype and device
        are taken from ``gru``, which must be unidirectional and have biases.
        """
        if not isinstance(gru, nn.GRU):
            raise TypeError(f"from_gru expects a torch.nn.GRU, not {type(gru).__name__}")
        if gru.bidirectional or not gru.bias:
            raise ValueError("from_gru expects a unidirectional GRU with biases")
        weight = gru.weight_ih_l0
        egru = cls(
            gru.input_size,
            gru.hidden_size,
            gru.num_layers,
            batch_first=gru.batch_first,
            dropout=gru.dropout,
            device=weight.device,
            dtype=weight.dtype,
            **options,
        )
        _copy_parameters(gru, egru, (name for name, _ in gru.named_parameters()))
        return egru.train(gru.training)

    def to_gru(self) -> nn.GRU:
        """A :class:`torch.nn.GRU` with the same weights; the thresholds are dropped."""
        weight = self.weight_ih_l0
        gru = nn.GRU(
            self.input_size,
            self.hidden_size,
            self.num_layers,
            batch_first=self.batch_first,
            dropout=self.dropout,
            device=weight.device,
            dtype=weight.dtype,
        )
        _copy_parameters(self, gru, (name for name, _ in gru.named_parameters()))
        return gru.train(self.training)


def _copy_parameters(source: nn.Module, target: nn.Module, names: Iterable[str]) -> None:
    with torch.no_grad():
        for name in names:
            getattr(target, name).copy_(getattr(source, name))


@cache
def _say_that_the_core_is_missing() -> None:
    warnings.warn(
        f"egru-hw: the C++ core is missing ({core_missing}); using backend='torch'",
        stacklevel=3,
    )


def _trace(y: Tensor, trace: Tensor) -> tuple[Tensor, Tensor]:
    traces = []
    for value in y.unbind():
        trace = torch.lerp(value, trace, TRACE_DECAY)
        traces.append(trace)
    return torch.stack(traces), trace
