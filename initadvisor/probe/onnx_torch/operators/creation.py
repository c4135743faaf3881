"""Tensors made of nothing but sizes: constants, ranges, random numbers."""

from __future__ import annotations

import math
from typing import Any

import torch

from initadvisor.errors import FormatError
from initadvisor.probe.onnx_torch.registry import Call, implements, number, numbers
from initadvisor.probe.onnx_torch.types import TORCH_TYPES


@implements("Constant")
def constant(call: Call) -> Any:
    """A tensor, a number or a list of them, spelled out in the node."""
    if "value" in call.attrs:
        return call.attrs["value"]
    for name, kind in (("value_float", torch.float32), ("value_int", torch.int64)):
        for key in (name, f"{name}s"):
            if key in call.attrs:
                return torch.tensor(call.attrs[key], dtype=kind)
    raise FormatError("a constant of a kind that torch does not compute with (text, sparse)")


@implements("ConstantOfShape")
def constant_of_shape(call: Call, shape: Any) -> Any:
    """One number everywhere, by default 0."""
    value = call.attr("value")
    sizes = [int(n) for n in numbers(shape)]
    call.allow(sizes, 4 if value is None else value.element_size())
    if value is None:
        return torch.zeros(sizes, device=shape.device)
    return torch.full(sizes, value.reshape(-1)[0].item(), dtype=value.dtype, device=shape.device)


@implements("Range")
def arange(call: Call, start: Any, limit: Any, delta: Any) -> Any:
    """Numbers from `start` up to `limit`, exclusive."""
    first, last, step = number(start), number(limit), number(delta)
    count = max(math.ceil((last - first) / step), 0)
    call.allow((count,), 8)
    steps = torch.arange(count, dtype=torch.float64 if start.is_floating_point() else torch.int64, device=start.device)
    return (first + steps * step).to(start.dtype)


@implements("EyeLike")
def eye_like(call: Call, x: Any) -> Any:
    """Ones on a diagonal of a matrix of the input's shape."""
    kind = TORCH_TYPES.get(call.attr("dtype"), x.dtype)
    rows, columns = x.shape
    at = torch.arange(rows, device=x.device).unsqueeze(1) + call.attr("k", 0)
    return (at == torch.arange(columns, device=x.device)).to(kind)


@implements("OneHot")
def one_hot(call: Call, indices: Any, depth: Any, values: Any) -> Any:
    """Two numbers, the second one at the place that an index names."""
    count = int(number(depth))
    axis = call.attr("axis", -1)
    axis = axis + indices.dim() + 1 if axis < 0 else axis
    call.allow((*indices.shape, count), values.element_size())
    places = indices.to(torch.int64).unsqueeze(axis) % count if count else indices.to(torch.int64).unsqueeze(axis)
    known = (indices >= -count) & (indices < count)
    shape = [1] * (indices.dim() + 1)
    shape[axis] = count
    here = (places == torch.arange(count, device=indices.device).reshape(shape)) & known.unsqueeze(axis)
    return torch.where(here, values[1], values[0])


def _shape_of(call: Call, like: Any) -> tuple[list[int], Any]:
    kind = TORCH_TYPES.get(call.attr("dtype"))
    if like is not None:
        return list(like.shape), kind or (like.dtype if like.is_floating_point() else torch.float32)
    return [int(n) for n in call.attr("shape")], kind or torch.float32


@implements("RandomNormal", "RandomNormalLike")
def random_normal(call: Call, like: Any = None) -> Any:
    """Drawn from torch's generator, whatever seed the node asks for: the probe seeds it."""
    sizes, kind = _shape_of(call, like)
    call.allow(sizes)
    device = None if like is None else like.device
    drawn = torch.randn(sizes, device=device) * call.attr("scale", 1.0) + call.attr("mean", 0.0)
    return drawn.to(kind)


@implements("RandomUniform", "RandomUniformLike")
def random_uniform(call: Call, like: Any = None) -> Any:
    """As `random_normal`, between `low` and `high`."""
    sizes, kind = _shape_of(call, like)
    call.allow(sizes)
    low, high = call.attr("low", 0.0), call.attr("high", 1.0)
    drawn = torch.rand(sizes, device=None if like is None else like.device)
    return (low + drawn * (high - low)).to(kind)


@implements("Bernoulli")
def bernoulli(call: Call, x: Any) -> Any:
    """One with the probability that the input holds."""
    return torch.bernoulli(x).to(TORCH_TYPES.get(call.attr("dtype"), x.dtype))


@implements("Multinomial")
def multinomial(call: Call, x: Any) -> Any:
    """Classes drawn by their log-probabilities."""
    count = call.attr("sample_size", 1)
    call.allow((x.shape[0], count), 8)
    drawn = torch.multinomial(torch.softmax(x, -1), count, replacement=True)
    return drawn.to(TORCH_TYPES.get(call.attr("dtype", 6), torch.int32))
