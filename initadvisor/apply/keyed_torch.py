"""Keyed draws into torch tensors: any device, any float dtype, whole tensors, shards and DTensors, in place."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch

from initadvisor.apply import device_draws
from initadvisor.graph import Layout
from initadvisor.initializers import Constant, InitSpec, Key
from initadvisor.initializers.distributions import RandomDistribution
from initadvisor.initializers.draws.region import normalise

_HOST_CHUNK = 1 << 20
_DEVICE_CHUNK = 1 << 24
_NUMPY_DTYPES = (torch.float32, torch.float64, torch.float16)


def fill_(
    tensor: torch.Tensor,
    spec: InitSpec,
    key: Key,
    layout: Layout | None = None,
    *,
    shape: Sequence[int] | None = None,
    region: tuple[slice, ...] | None = None,
) -> torch.Tensor:
    """Draw `tensor` in place and return it.

    `tensor` is the whole parameter, or the `region` of a parameter of `shape` (one slice an axis). The numbers depend
    on the key and the place in the whole alone, and not on device, dtype (but for its rounding), shards or threads.
    """
    with torch.no_grad():
        _fill(tensor, spec, key, layout, tuple(shape if shape is not None else tensor.shape), region)
    return tensor


def _fill(
    tensor: torch.Tensor,
    spec: InitSpec,
    key: Key,
    layout: Layout | None,
    whole: tuple[int, ...],
    region: tuple[slice, ...] | None,
) -> None:
    if is_dtensor(tensor):
        local = tensor.to_local()
        if local.numel():
            _fill(local, spec, key, layout, tuple(tensor.shape), local_region(tensor))
    elif tensor.device.type == "cpu" and tensor.dtype in _NUMPY_DTYPES:
        spec.draw(whole, key, layout, region=region, out=tensor.detach().numpy(), threads=torch.get_num_threads())
        if not tensor.is_inference():
            torch.autograd.graph.increment_version(tensor)  # numpy wrote behind autograd's back
    elif parts := list(spec.parts(whole)):
        for part in parts:
            _fill_part(tensor, part.spec, key.child(part.name), layout, whole, region, part.axis, part.start, part.stop)
    elif (distribution := spec.distribution(whole, layout)) is None:
        drawn = spec.draw(whole, key, layout, np.float64 if tensor.dtype == torch.float64 else np.float32, region)
        tensor.copy_(torch.from_numpy(drawn))
    elif isinstance(distribution, Constant):
        tensor.fill_(distribution.value)
    else:
        bounds = normalise(whole, region)
        _fill_region(tensor, distribution, key, 0, whole, bounds)


def is_dtensor(tensor: torch.Tensor) -> bool:
    """Whether a tensor is distributed, without importing torch.distributed where it was not yet."""
    return type(tensor).__name__ == "DTensor" and hasattr(tensor, "placements")


def local_region(tensor: torch.Tensor) -> tuple[slice, ...]:
    """The slices of the global tensor that this rank's part of a DTensor holds."""
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    sizes, offsets = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    return tuple(slice(start, start + size) for start, size in zip(offsets, sizes, strict=True))


def _fill_part(
    tensor: torch.Tensor,
    spec: InitSpec,
    key: Key,
    layout: Layout | None,
    shape: tuple[int, ...],
    region: tuple[slice, ...] | None,
    axis: int,
    start: int,
    stop: int,
) -> None:
    """The stretch [start, stop) of an axis, where it meets the region."""
    bounds = normalise(shape, region)
    inside = [i for i, index in enumerate(bounds[axis]) if start <= index < stop]
    if not inside:
        return
    picks = [slice(r.start, r.stop, r.step) for r in bounds]
    first, last = bounds[axis][inside[0]], bounds[axis][inside[-1]]
    picks[axis] = slice(first - start, last + 1 - start, bounds[axis].step)
    view = tensor.narrow(axis, inside[0], len(inside))
    sub = (*shape[:axis], stop - start, *shape[axis + 1 :])
    _fill(view, spec, key, layout, sub, tuple(picks))


def _fill_region(
    out: torch.Tensor,
    distribution: RandomDistribution,
    key: Key,
    start: int,
    shape: tuple[int, ...],
    bounds: tuple[range, ...],
) -> None:
    """A region of the sub-tensor of `shape` whose first element has C-order index `start`, chunk by chunk."""
    chunk = _HOST_CHUNK if out.device.type == "cpu" else _DEVICE_CHUNK
    if not shape:
        out.copy_(_deviates(distribution, key, start, 1, out).reshape(()))
        return
    rows, inner = bounds[0], prod(shape[1:])
    if inner > chunk:
        for i, row in enumerate(rows):
            _fill_region(out[i], distribution, key, start + row * inner, shape[1:], bounds[1:])
        return
    step = max(chunk // (max(inner, 1) * rows.step), 1)
    picks = tuple(slice(r.start, r.stop, r.step) for r in bounds[1:])
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        span = some[-1] + 1 - some[0]
        drawn = _deviates(distribution, key, start + some[0] * inner, span * inner, out)
        out[first : first + step].copy_(drawn.reshape(span, *shape[1:])[(slice(None, None, rows.step), *picks)])


def _deviates(distribution: RandomDistribution, key: Key, start: int, count: int, like: torch.Tensor) -> torch.Tensor:
    """Elements [start, start + count) of a random distribution, on the device of `like`, in its precision."""
    if like.device.type == "cpu":
        dtype = np.float64 if like.dtype == torch.float64 else np.float32
        flat = np.empty(count, dtype)
        distribution.draw(key, (start + count,), flat, range(start, start + count), torch.get_num_threads())
        return torch.from_numpy(flat)
    return device_draws.deviates(distribution, key, start, count, like.device, like.dtype == torch.float64)
