"""Memory for arrays: large pages for large ones, and buffers that are kept between calls."""

import mmap
import threading
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from golden.core._core import large_pages

LARGE = 1 << 22  # fewest bytes to request large pages for

Shapes = tuple[tuple[int, ...], ...]


def empty(like: Tensor, *shape: int) -> Tensor:
    """Like ``like.new_empty``, but large tensors cause fewer page faults on first writes."""
    tensor = like.new_empty(shape)
    if tensor.nbytes >= LARGE:
        large_pages(tensor.data_ptr(), tensor.nbytes)
    return tensor


def zeros(like: Tensor, *shape: int) -> Tensor:
    return empty(like, *shape).zero_()


def sparse_zeros(like: Tensor, *shape: int) -> Tensor:
    """Zeros mapped by the system, which allocates only the pages that are written."""
    memory = mmap.mmap(-1, prod(shape) * like.itemsize)
    return torch.frombuffer(memory, dtype=like.dtype).view(shape)


class Buffer:
    """An array that does not outlive the call."""

    __slots__ = ("address", "memory", "shape", "start", "views")

    def __init__(self, memory: Tensor, start: int, shape: tuple[int, ...]):
        self.memory, self.start, self.shape = memory, start, shape
        self.address = memory.data_ptr() + start * memory.itemsize
        self.views: dict[tuple[int, ...], Tensor] = {}

    def tensor(self, *shape: int) -> Tensor:
        """The array, or a view of its beginning with another shape."""
        shape = shape or self.shape
        if shape not in self.views:
            self.views[shape] = self.memory[self.start : self.start + prod(shape)].view(shape)
        return self.views[shape]


class _Kept(threading.local):
    """A thread's last buffers, kept since the system would have to clear new pages."""

    memory: Tensor | None = None
    key: tuple = ()
    buffers: list[Buffer]


_kept = _Kept()


def buffers(like: Tensor, shapes_of: Callable[..., Shapes], *sizes: int) -> list[Buffer]:
    """Uninitialised, aligned arrays of the type of ``like``, with the shapes
    ``shapes_of(like, *sizes)``; valid until the thread's next call."""
    key = (shapes_of, like.dtype, sizes)
    if key == _kept.key:
        return _kept.buffers
    shapes = shapes_of(like, *sizes)
    starts = [0]
    for shape in shapes:
        starts.append(starts[-1] + (prod(shape) + 15) // 16 * 16)
    size, held = starts[-1], _kept.memory
    if held is None or held.dtype != like.dtype or not size <= len(held) <= 4 * size + LARGE:
        _kept.memory = held = None  # freed before the allocation
        with torch.inference_mode(False):  # it may be used outside of it later
            _kept.memory = held = empty(like, size)
    _kept.key = key
    _kept.buffers = [Buffer(held, *place) for place in zip(starts, shapes, strict=False)]
    return _kept.buffers
