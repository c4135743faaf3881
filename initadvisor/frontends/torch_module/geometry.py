"""Which memory a tensor covers: how writes through one view reach the others of the same storage."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

_WORK = 10_000
"""Steps that the exact overlap test may take before two views count as overlapping."""


def storage_key(tensor: torch.Tensor) -> int:
    """An identity of the memory under a tensor, or the tensor's own id where it has none (sparse, batched)."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (RuntimeError, NotImplementedError):
        return -id(tensor)


def unwrapped(tensor: torch.Tensor) -> torch.Tensor | None:
    """The tensor inside a functorch wrapper (vmap, grad), or None."""
    functorch = torch._C._functorch
    if functorch.is_batchedtensor(tensor) or functorch.is_gradtrackingtensor(tensor):
        inner: torch.Tensor = functorch.get_unwrapped(tensor)
        return inner
    return None


def rewrapped(wrapper: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """Another tensor in the same functorch wrapper."""
    functorch = torch._C._functorch
    level = functorch.maybe_get_level(wrapper)
    if functorch.is_batchedtensor(wrapper):
        batched: torch.Tensor = functorch._add_batch_dim(inner, functorch.maybe_get_bdim(wrapper), level)
        return batched
    tracked: torch.Tensor = functorch._wrap_for_grad(inner, level)
    return tracked


def same_region(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two views of one storage show the same elements in the same order."""
    try:
        return bool(
            a.shape == b.shape
            and a.storage_offset() == b.storage_offset()
            and a.stride() == b.stride()
            and a.dtype == b.dtype
        )
    except (RuntimeError, NotImplementedError):
        return False


def covers(writer: torch.Tensor, reader: torch.Tensor) -> bool:
    """Whether every element of `reader` lies in `writer`, both views of one storage; unsure is False."""
    try:
        first, last = _span(writer)
        begin, end = _span(reader)
        return last - first == writer.numel() * writer.element_size() and first <= begin and end <= last
    except (RuntimeError, NotImplementedError):
        return False


def overlap(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two views of one storage share an element; unsure is True."""
    try:
        first, last = _span(a)
        begin, end = _span(b)
        if last <= begin or end <= first:
            return False
        return bool(np.shares_memory(_shadow(a), _shadow(b), max_work=_WORK))  # type: ignore[arg-type]
    except (RuntimeError, NotImplementedError, np.exceptions.TooHardError, ValueError, TypeError):
        return True


def _span(tensor: torch.Tensor) -> tuple[int, int]:
    size = tensor.element_size()
    start = tensor.storage_offset() * size
    if tensor.numel() == 0:
        return start, start
    reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + (reach + 1) * size


class _Region:
    """An array interface over memory that is described and never read."""

    def __init__(self, interface: dict[str, Any]) -> None:
        self.__array_interface__ = interface


def _shadow(tensor: torch.Tensor) -> np.ndarray:
    size = tensor.element_size()
    origin = 1 << 40  # any address does: numpy only computes with it
    interface = {
        "version": 3,
        "typestr": f"|V{size}",
        "shape": tuple(tensor.shape),
        "strides": tuple(s * size for s in tensor.stride()),
        "data": (origin + tensor.storage_offset() * size, True),
    }
    return np.asarray(_Region(interface))
