"""Gated units as one operator."""

from __future__ import annotations

from dataclasses import replace

from initadvisor.ops.correlation import dual
from initadvisor.ops.moments import combine
from initadvisor.ops.moments.activations import apply, named, root_of
from initadvisor.ops.moments.axes import Counts
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal


@forward("gated_silu")
def gated_silu(call: Call) -> list[Signal | None]:
    gate, value = call.known(0), call.known(1)
    silu = named("silu", {"beta": call.attr("alpha", 1.0)})
    if gate is None or value is None or silu is None:
        return [None]
    opened = apply(gate, silu)
    call.memory["times"] = [Counts(1, 1, 1)] * 2
    slope = dual(silu, root_of(gate).mean, root_of(gate).variance).slope
    call.memory["factors"] = (value.scaled(1.0, slope), opened)
    return [combine.multiply(opened, value)]


@forward("glu")
def glu(call: Call) -> list[Signal | None]:
    """a * sigmoid(b) for the two halves of an axis."""
    s = call.known(0)
    sigmoid = named("sigmoid", {})
    if s is None or sigmoid is None or call.output_shapes[0] is None:
        return [None]
    dim = int(call.attr("dim", -1)) % max(len(s.axes), 1)
    shape = call.output_shapes[0]
    axes = tuple(
        (((one[0][0], shape[place]),) if shape[place] > 1 and one else ()) if place == dim else one
        for place, one in enumerate(s.axes)
    )
    half = s.fresh(axes=axes, sources={})
    opened = apply(half, sigmoid)
    slope = dual(sigmoid, half.mean, half.variance).slope
    call.memory["square"] = 0.5 * (opened.q + half.q * slope)
    return [replace(combine.multiply(replace(opened, sources={}), half), sources={})]


@backward("glu")
def glu_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    (g,) = gradients[:1]
    return [None if g is None or "square" not in call.memory else g.scaled(call.memory["square"])]
