"""An EGRU layer and its gradients in float64 numpy, derived by hand from the equations.

Forward, per step (∘ elementwise, σ the logistic function)::

    p = W x + b             q = R y' + b'
    r = σ(p_r + q_r)        z = σ(p_z + q_z)        g = tanh(p_n + r ∘ q_n)
    c = k h' + (1 - k)(z ∘ h' + (1 - z) ∘ g)        k: zoneout, in evaluation
    o = [c > θ]             y = o ∘ c               h = c - o ∘ θ

Backward, with Y and D the whole gradients of y and h and ψ the surrogate derivative of o::

    e = ψ ∘ (c ∘ Y - θ ∘ D)             a = o ∘ Y + e + D           dθ = -(e + o ∘ D)
    dp_n = (1 - k)(1 - g²)(1 - z) a     dp_z = (1 - k) z (1 - z)(h' - g) a
    dp_r = r (1 - r) q_n dp_n           dq = (dp_r, dp_z, r ∘ dp_n)
    dh' = ((1 - k) z + k) a             dy' = Rᵀ dq
"""

from dataclasses import dataclass, fields

import numpy as np


@dataclass
class Parameters:
    """``weight_ih`` (3H, C), ``weight_hh`` (3H, H), biases (3H), ``threshold`` (H)."""

    weight_ih: np.ndarray
    weight_hh: np.ndarray
    bias_ih: np.ndarray
    bias_hh: np.ndarray
    threshold: np.ndarray


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def forward(par: Parameters, x, y, h, zoneout=0.0):
    """x (T, N, C), y and h (N, H): event values (T, N, H), last h, and a tape."""
    tape, outputs = [], []
    for x_t in x:
        p_r, p_z, p_n = np.split(x_t @ par.weight_ih.T + par.bias_ih, 3, axis=1)
        q_r, q_z, q_n = np.split(y @ par.weight_hh.T + par.bias_hh, 3, axis=1)
        r, z = _sigmoid(p_r + q_r), _sigmoid(p_z + q_z)
        g = np.tanh(p_n + r * q_n)
        c = zoneout * h + (1 - zoneout) * (z * h + (1 - z) * g)
        o = (c > par.threshold).astype(float)
        tape.append((x_t, y, h, r, z, g, q_n, c, o))
        y, h = o * c, c - o * par.threshold
        outputs.append(y)
    return np.stack(outputs), h, tape


def backward(par: Parameters, tape, dy, dh_last, height, width, zoneout=0.0):
    """Gradients for dy (T, N, H) on the outputs and dh_last (N, H) on the last state.

    Returns ``(gradients, dx, dy0, dh0)``, gradients being a :class:`Parameters`.
    """
    grad = Parameters(*(np.zeros_like(getattr(par, field.name)) for field in fields(par)))
    dx = np.zeros((len(tape), *tape[0][0].shape))
    D, from_next = dh_last, np.zeros_like(dh_last)
    for t in reversed(range(len(tape))):
        x, y_before, h_before, r, z, g, q_n, c, o = tape[t]
        Y = dy[t] + from_next
        psi = height * np.maximum(0, 1 - np.abs(c - par.threshold) / width)
        e = psi * (c * Y - par.threshold * D)
        a = o * Y + e + D
        grad.threshold -= (e + o * D).sum(0)
        inner = (1 - zoneout) * a
        dp_n = (1 - g**2) * (1 - z) * inner
        dp_z = z * (1 - z) * (h_before - g) * inner
        dp_r = r * (1 - r) * q_n * dp_n
        dp = np.concatenate([dp_r, dp_z, dp_n], axis=1)
        dq = np.concatenate([dp_r, dp_z, r * dp_n], axis=1)
        grad.weight_ih += dp.T @ x
        grad.weight_hh += dq.T @ y_before
        grad.bias_ih += dp.sum(0)
        grad.bias_hh += dq.sum(0)
        dx[t] = dp @ par.weight_ih
        from_next = dq @ par.weight_hh
        D = ((1 - zoneout) * z + zoneout) * a
    return grad, dx, from_next, D


def trace_forward(y, trace):
    """trace = 0.9 trace + 0.1 y over y (T, N, H): all traces (T, N, H)."""
    traces = []
    for y_t in y:
        trace = 0.9 * trace + 0.1 * y_t
        traces.append(trace)
    return np.stack(traces)


def trace_backward(dtraces):
    """From gradients on all traces (T, N, H): those on y (T, N, H) and on the first trace."""
    tau, dy = np.zeros_like(dtraces[0]), np.zeros_like(dtraces)
    for t in reversed(range(len(dtraces))):
        tau = dtraces[t] + 0.9 * tau
        dy[t] = 0.1 * tau
    return dy, 0.9 * tau
