"""Operators that move elements without changing them, and joins and splits along an axis."""

from __future__ import annotations

from dataclasses import replace

from initadvisor.ops.moments.axes import (
    FEATURES,
    POSITIONS,
    SAMPLES,
    Axes,
    Axis,
    axis,
    dominant,
    regroup,
    shape_of,
    size_of,
)
from initadvisor.ops.moments.broadcasting import gather_back, repeated
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal

_SAME = (
    "identity",
    "cast",
    "flip",
    "roll",
    "channel_shuffle",
    "dequantize",
    "quantize",
    "fake_quantize",
    "optional_get",
    "conj",
    "rotary_embedding",
    "microsoft_rotary_embedding",
)
"""A rotation by the position keeps second moments; what two positions share is taken as it was."""

_RESHAPED = ("reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "atleast_nd", "view_as_real", "view_as_complex")


@forward(*_SAME)
def same(call: Call) -> list[Signal | None]:
    return [call.known(0)]


@forward("dropout", "alpha_dropout")
def dropout(call: Call) -> list[Signal | None]:
    """Kept with probability 1 - p and divided by it, independently at every element."""
    x = call.known(0)
    p = float(call.attr("p", 0.5))
    if x is None or not call.attr("training", True) or p <= 0.0 or call.op == "alpha_dropout":
        return [x, *[None] * (len(call.output_shapes) - 1)]
    keep = 1.0 - p
    call.memory["square"] = 1.0 / keep if keep > 0 else 0.0
    made = x.fresh(q=x.q / keep if keep > 0 else 0.0)
    return [made, *[None] * (len(call.output_shapes) - 1)]


@backward(*_SAME, "dropout", "alpha_dropout")
def same_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g = gradients[0]
    made = g if g is None or "square" not in call.memory else replace(g, q=g.q * call.memory["square"])
    return [made, *[None] * (len(call.inputs) - 1)]


@forward(*_RESHAPED, "pixel_shuffle", "pixel_unshuffle")
def reshaped(call: Call) -> list[Signal | None]:
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None:
        return [None]
    if call.op == "pixel_shuffle" or call.op == "pixel_unshuffle":
        axes = (*x.axes[:-3], axis(FEATURES, shape[-3]), axis(POSITIONS, shape[-2]), axis(POSITIONS, shape[-1]))
    else:
        axes = regroup(x.axes, shape)
    return [_moved(x, axes)]


def _moved(x: Signal, axes: Axes) -> Signal:
    return x.fresh(axes=axes)


@backward(*_RESHAPED, "pixel_shuffle", "pixel_unshuffle", "permute", "transpose", "matrix_transpose", "movedim")
def reshaped_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g = gradients[0]
    return [None if g is None else replace(g, radial_positions=0.0, radial_samples=0.0)]


@forward("permute", "transpose", "matrix_transpose", "movedim")
def permuted(call: Call) -> list[Signal | None]:
    x = call.known(0)
    if x is None:
        return [None]
    return [_moved(x, tuple(x.axes[place] for place in order_of(call, len(x.axes))))]


def order_of(call: Call, rank: int) -> list[int]:
    """The permutation that the operator applies to its axes."""
    order = list(range(rank))
    if call.op == "permute":
        dims = call.attrs.get("dims")
        given = order[::-1] if dims is None else [int(d) % rank for d in dims]
        return given if len(given) == rank else order
    if call.op == "matrix_transpose":
        if rank >= 2:
            order[-1], order[-2] = order[-2], order[-1]
        return order
    if call.op == "transpose":
        a, b = int(call.attr("dim0", 0)) % rank, int(call.attr("dim1", 1)) % rank
        order[a], order[b] = order[b], order[a]
        return order
    source, destination = call.attrs.get("source"), call.attrs.get("destination")
    sources = [int(source)] if isinstance(source, int) else [int(s) for s in source or ()]
    targets = [int(destination)] if isinstance(destination, int) else [int(d) for d in destination or ()]
    sources, targets = [s % rank for s in sources], [t % rank for t in targets]
    rest = [place for place in order if place not in sources]
    for target, moved in sorted(zip(targets, sources, strict=False)):
        rest.insert(target, moved)
    return rest


@forward("expand", "repeat", "repeat_interleave", "broadcast_tensors")
def expanded(call: Call) -> list[Signal | None]:
    made: list[Signal | None] = []
    for place, shape in enumerate(call.output_shapes):
        x = call.known(place if call.op == "broadcast_tensors" else 0)
        if x is None or shape is None:
            made.append(None)
            continue
        own = shape_of(x.axes)
        aligned = (*((),) * (len(shape) - len(own)), *x.axes)
        axes = tuple(
            one if size_of(one) == n else _grown(one, n, position == 0 and n == call.batch)
            for position, (one, n) in enumerate(zip(aligned, shape, strict=True))
        )
        spread, times = repeated(replace(x, axes=aligned, free=False), axes)
        call.memory["times"] = times
        made.append(replace(spread, value_id=-1))
    return made


def _grown(one: Axis, size: int, is_samples: bool) -> Axis:
    if one and size % size_of(one) == 0:
        return (*axis(dominant(one), size // size_of(one)), *one)
    return axis(SAMPLES if is_samples else POSITIONS, size)


@backward("expand", "repeat", "repeat_interleave")
def expanded_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g, x, times = gradients[0], call.known(0), call.memory.get("times")
    rest: list[Gradient | None] = [None] * (len(call.inputs) - 1)
    return [None if g is None or x is None or times is None else gather_back(g, x, times), *rest]
