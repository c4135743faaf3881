"""The part of a parameter that lies on this rank, and its place in the whole. Nothing here talks to other ranks."""

from __future__ import annotations

import contextlib
from math import prod
from typing import Any

import torch


def is_sharded(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a DTensor."""
    return type(tensor).__name__ == "DTensor" or hasattr(tensor, "_local_tensor")


def local(tensor: torch.Tensor) -> torch.Tensor:
    """What lies here, detached; of a plain tensor all of it."""
    found: Any = tensor.detach() if not is_sharded(tensor) else tensor._local_tensor.detach()  # type: ignore[attr-defined]
    return found  # type: ignore[no-any-return]


def copies(tensor: Any, count: int) -> int:
    """On how many of `count` ranks the same part lies."""
    if not is_sharded(tensor):
        return count
    sizes = zip(tensor.placements, tensor.device_mesh.shape, strict=True)
    return prod(size for placement, size in sizes if not placement.is_shard())


def rows_apart(tensor: Any) -> bool:
    """Whether whole rows lie here: all of them, or a run of them."""
    return not is_sharded(tensor) or all(p.dim == 0 for p in tensor.placements if p.is_shard())


def region(tensor: Any) -> tuple[slice, ...]:
    """Where what lies here is in the whole."""
    if not is_sharded(tensor):
        return tuple(slice(0, size) for size in tensor.shape)
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    sizes, offsets = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    return tuple(slice(start, start + size) for start, size in zip(offsets, sizes, strict=True))


def sample_places(tensor: torch.Tensor, count: int) -> tuple[slice, slice]:
    """Of a sample of about `count` elements of the whole, evenly spread: (where in the flat part here, which of it).

    Of a tensor that is split along another axis than the first, the part here is sampled as if it were rows.
    """
    size, here = tensor.numel(), local(tensor).numel()
    step = max(1, size // count)
    whole = min(count, -(-size // step))
    places = region(tensor)
    start = places[0].start * (size // max(1, tensor.shape[0])) if places and rows_apart(tensor) else 0
    first = -(-start // step)
    last = min(whole, -(-(start + here) // step))
    if last <= first:
        return slice(0, 0), slice(0, 0)
    return slice(first * step - start, (last - 1) * step - start + 1, step), slice(first, last)


def reshard(module: torch.nn.Module) -> None:
    """Let go of gathered parameters, and of a pass that was cut short; nothing where none is sharded."""
    parts = [part for part in module.modules() if hasattr(part, "_get_fsdp_state")]
    if not parts:
        return
    with contextlib.suppress(RuntimeError, AttributeError):  # not the root; or a torch that has no such recovery
        parts[0].reset_iter_state()
    for part in parts:
        part.reshard()
