"""Values that come from nowhere: created tensors and random draws."""

from __future__ import annotations

from dataclasses import replace

from initadvisor.ops.moments.axes import POSITIONS, SAMPLES, Axes, axis, plain
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal, constant_signal, independent


def _filled(call: Call, value: float) -> list[Signal | None]:
    shape = call.output_shapes[0]
    return [None if shape is None else constant_signal(value, plain(shape, POSITIONS))]


@forward("zeros")
def zeros(call: Call) -> list[Signal | None]:
    return _filled(call, 0.0)


@forward("ones")
def ones(call: Call) -> list[Signal | None]:
    return _filled(call, 1.0)


@forward("full")
def full(call: Call) -> list[Signal | None]:
    value = call.known(0)
    if value is None or value.constant is None:
        return [None]
    return _filled(call, value.constant)


@forward("empty")
def empty(call: Call) -> list[Signal | None]:
    return _filled(call, 0.0)


@forward("constant_of_shape", "constant", "tensor", "arange", "linspace", "eye", "randint", "meshgrid")
def tables(call: Call) -> list[Signal | None]:
    """Tables of numbers that no model input flows through."""
    return [None] * len(call.output_shapes)


@forward("randn", "draw_normal")
def randn(call: Call) -> list[Signal | None]:
    shape = call.output_shapes[0]
    mean, std = float(call.attr("mean", 0.0)), float(call.attr("std", 1.0))
    return [None if shape is None else independent(mean, mean * mean + std * std, _drawn_axes(call, shape), free=False)]


@forward("rand", "draw_uniform")
def rand(call: Call) -> list[Signal | None]:
    shape = call.output_shapes[0]
    low, high = float(call.attr("low", 0.0)), float(call.attr("high", 1.0))
    mean = 0.5 * (low + high)
    q = mean * mean + (high - low) ** 2 / 12.0
    return [None if shape is None else independent(mean, q, _drawn_axes(call, shape))]


@forward("bernoulli")
def bernoulli(call: Call) -> list[Signal | None]:
    """Ones with probability p: the survival mask of stochastic depth."""
    shape, given = call.output_shapes[0], call.known(0)
    p = call.attrs.get("p")
    rate = float(p) if isinstance(p, (int, float)) else given.mean if given is not None else 0.5
    return [None if shape is None else independent(rate, rate, _drawn_axes(call, shape))]


def _drawn_axes(call: Call, shape: tuple[int, ...]) -> Axes:
    lead = axis(SAMPLES, shape[0]) if shape and shape[0] == call.batch else axis(POSITIONS, shape[0]) if shape else ()
    return (lead, *plain(shape[1:], POSITIONS)) if shape else ()


@backward("bernoulli", "zeros", "ones", "full", "empty", "randn", "rand", "draw_normal", "draw_uniform")
def nothing_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    return [None] * len(call.inputs)


@forward("copy")
def copy(call: Call) -> list[Signal | None]:
    s = call.known(1)
    return [None if s is None else replace(s, value_id=-1)]
