"""The compiled kernels: by vector extension and type."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import torch
from torch import Tensor

import golden.core._core as compiled

if TYPE_CHECKING:
    from golden.core._core import Kernels

_KERNELS = {
    extension.name: {torch.float32: extension.float32, torch.float64: extension.float64}
    for extension in compiled.vector_extensions()
}
_chosen = ContextVar("vector extension", default=compiled.vector_extensions()[0].name)


def vector_extensions() -> list[str]:
    """The vector extensions of this machine, the fastest first, which is the default."""
    return list(_KERNELS)


@contextmanager
def use_vector_extension(name: str) -> Iterator[None]:
    """Within the block, compute with one of ``vector_extensions()``. Has the scope of
    :func:`golden.core.policy.forced`."""
    if name not in _KERNELS:
        raise ValueError(f"vector extension must be one of {vector_extensions()}, not {name!r}")
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def kernels_for(like: Tensor) -> "Kernels":
    """The kernels for the type of ``like``, float32 or float64."""
    return _KERNELS[_chosen.get()][like.dtype]


def address(tensor: Tensor | None) -> int:
    """The address of a tensor's elements; 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()
