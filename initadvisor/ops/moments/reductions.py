"""Sums, means and extrema over axes."""

from __future__ import annotations

import math
from dataclasses import replace

from initadvisor.ops.moments.axes import Axes, Counts, count, normalise_dims, size_of
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal


def _reduced(call: Call, x: Signal) -> tuple[Counts, Axes]:
    """What is averaged over, by role, and the axes that stay."""
    dims = normalise_dims(call.attrs.get("dim"), len(x.axes))
    inside = count(x.axes[d] for d in dims)
    if call.attr("keepdim", False):
        return inside, tuple(() if place in dims else one for place, one in enumerate(x.axes))
    return inside, tuple(one for place, one in enumerate(x.axes) if place not in dims)


def _mean(x: Signal, inside: Counts, axes: Axes) -> Signal:
    """The mean over a block."""
    q = x.block(inside)

    def apart(pair: float, role: int) -> float:
        # two blocks that differ in a role: the mean product over their elements
        if role == 0 or inside.features <= 1:
            return pair
        return (pair + (inside.features - 1) * x.cross(x.features, pair)) / inside.features

    positions, samples = apart(x.positions, 1), apart(x.samples, 2)
    features = x.features
    if inside.positions > 1:
        across = x.cross(x.features, x.positions)
        features = (features + (inside.positions - 1) * across) / inside.positions
    return Signal(x.mean, q, features, positions, samples, axes, free=x.free)


@forward("mean", "sum")
def mean(call: Call) -> list[Signal | None]:
    x = call.known(0)
    if x is None:
        return [None]
    inside, axes = _reduced(call, x)
    call.memory["inside"] = inside
    made = _mean(x, inside, axes)
    if call.op == "sum":
        made = made.scaled(float(inside.total))
    return [made]


@backward("mean", "sum")
def mean_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    """Every element of the block gets the same."""
    g, x, inside = gradients[0], call.known(0), call.memory.get("inside")
    if g is None or x is None or inside is None:
        return [None]
    square = 1.0 if call.op == "sum" else 1.0 / inside.total**2
    kept = Counts(*(n // i for n, i in zip(x.counts(), inside, strict=True)))

    def pair(value: float, inner: int, outer: int) -> float:
        # of two different elements along a role, some lie in the same block
        n = inner * outer
        same = (inner - 1) / (n - 1) if n > 1 else 0.0
        return same * g.q + (1.0 - same) * value

    return [
        Gradient(
            g.q * square,
            pair(g.positions, inside.positions, kept.positions) * square,
            (g.samples if inside.samples == 1 else g.q) * square,
            pair(g.features, inside.features, kept.features) * square,
        )
    ]


@forward("var", "std", "var_mean", "std_mean")
def spread(call: Call) -> list[Signal | None]:
    """The variance over a block of many elements is close to its expectation."""
    x = call.known(0)
    if x is None:
        return [None] * len(call.output_shapes)
    inside, axes = _reduced(call, x)
    centre = _mean(x, inside, axes)
    n = inside.total
    unbiased = n / (n - 1) if n > 1 and call.attr("correction", 1) else 1.0
    value = max(x.q - centre.q, 0.0) * unbiased
    wobble = 2.0 * value * value / max(n, 1)
    if call.op.startswith("std"):
        wobble = wobble / (4.0 * value) if value > 0 else 0.0
        value = math.sqrt(value)
    square = value * value
    made: list[Signal | None] = [Signal(value, square + wobble, square, square, square, axes, free=x.free), centre]
    return made[: len(call.output_shapes)] if call.op.endswith("mean") else made[:1]


@forward("vector_norm", "l2_norm", "square_sum")
def vector_norm(call: Call) -> list[Signal | None]:
    x = call.known(0)
    if x is None or call.attr("p", 2) not in (2, 2.0, "fro"):
        return [None]
    inside, axes = _reduced(call, x)
    total = inside.total * x.q
    value = total if call.op == "square_sum" else math.sqrt(total)
    square = value * value
    wobble = square / max(inside.total, 1) * (2.0 if call.op == "square_sum" else 0.5)
    return [Signal(value, square + wobble, square, square, square, axes, free=x.free)]


@forward("amax", "max", "amin", "min")
def extremum(call: Call) -> list[Signal | None]:
    """The maximum of n Gaussians is close to sqrt(2 ln n) standard deviations above the mean."""
    x = call.known(0)
    rest: list[Signal | None] = [None] * (len(call.output_shapes) - 1)
    if x is None:
        return [None, *rest]
    inside, axes = _reduced(call, x)
    n = max(inside.total, 1)
    sign = 1.0 if call.op in ("amax", "max") else -1.0
    deviation = math.sqrt(x.variance)
    height = _expected_maximum(n)
    value = x.mean + sign * height * deviation
    wobble = x.variance if n == 1 else x.variance / (2.0 * math.log(n) + 1.0)
    square = value * value
    return [Signal(value, square + wobble, square, square, square, axes), *rest]


def _expected_maximum(n: int) -> float:
    """E[max] of n standard normals, to a few percent (Blom's formula through the normal quantile's tail)."""
    if n <= 1:
        return 0.0
    level = math.sqrt(2.0 * math.log(n))
    return max(level - (math.log(math.log(n) + 1e-9) + math.log(4.0 * math.pi)) / (2.0 * level) + 0.5772 / level, 0.56)


@backward("amax", "max", "amin", "min")
def extremum_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    """One element of the block gets it all."""
    g, x = gradients[0], call.known(0)
    if g is None or x is None:
        return [None]
    n = max(_reduced(call, x)[0].total, 1)
    return [Gradient(g.q / n, g.positions / (n * n), g.samples / (n * n))]


@backward("var", "std", "var_mean", "std_mean", "vector_norm", "l2_norm", "square_sum")
def deterministic_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    """The gradient through a statistic of many elements is smaller than the direct one by their number."""
    return [None]


@forward("logsumexp")
def logsumexp(call: Call) -> list[Signal | None]:
    x = call.known(0)
    if x is None:
        return [None]
    inside, axes = _reduced(call, x)
    value = x.mean + math.log(max(inside.total, 1)) + 0.5 * max(x.variance, 0.0)
    wobble = math.expm1(min(x.variance, 50.0)) / max(inside.total, 1)
    square = value * value
    return [Signal(value, square + wobble, square, square, square, axes)]


@forward("cumsum")
def cumsum(call: Call) -> list[Signal | None]:
    """Sums of 1 to n elements: the average over the places."""
    x = call.known(0)
    if x is None:
        return [None]
    dim = int(call.attr("dim", 0)) % max(len(x.axes), 1)
    n = max(size_of(x.axes[dim]), 1)
    common = x.positions
    q = (n + 1) / 2.0 * (x.q - common) + (n + 1) * (2 * n + 1) / 6.0 * common
    made = x.fresh(mean=x.mean * (n + 1) / 2.0, q=q, positions=q * 0.5, sources={})
    return [replace(made, value_id=-1)]
