"""Picking, writing and padding elements."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from initadvisor.ops.moments.axes import (
    FEATURES,
    POSITIONS,
    Axes,
    Axis,
    axis,
    count,
    plain,
    regroup,
    resized,
    shape_of,
    size_of,
)
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal

_PICKS = ("getitem", "slice", "narrow", "select", "index_select", "diagonal", "center_crop_pad")
_GATHERS = (
    "gather",
    "gather_nd",
    "take",
    "masked_select",
    "topk",
    "sort",
    "reverse_sequence",
    "as_strided",
    "unfold_windows",
    "roi_align",
    "roi_pool",
    "ps_roi_align",
    "ps_roi_pool",
    "non_max_suppression",
    "max_unpool",
)


def cut(one: Axis, size: int) -> Axis:
    """The outermost part of an axis, its inner atoms kept where they fit."""
    inner = size_of(one[1:])
    if len(one) > 1 and size % inner == 0:
        return (*axis(one[0][0], size // inner), *one[1:])
    return resized(one, size)


def part_of(x: Signal, axes: Axes) -> Signal:
    """Some of the elements: no longer aligned with the whole."""
    return x.fresh(axes=axes, sources={})


@forward("getitem", "slice", "narrow", "select", "index_select", "diagonal", "center_crop_pad")
def picked(call: Call) -> list[Signal | None]:
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None:
        return [None]
    return [part_of(x, _picked_axes(call, x, shape))]


def _picked_axes(call: Call, x: Signal, shape: tuple[int, ...]) -> Axes:
    rank = len(x.axes)
    if len(shape) == rank and call.op != "getitem":
        return tuple(cut(one, n) if size_of(one) != n else one for one, n in zip(x.axes, shape, strict=True))
    if call.op in ("select", "index_select", "diagonal"):
        dim = int(call.attr("dim", 0)) % max(rank, 1)
        between = tuple(axis(POSITIONS, n) for n in shape[dim : dim + 1 + len(shape) - rank])
        return (*x.axes[:dim], *between, *x.axes[dim + 1 :])
    index = call.attr("index", ())
    parts = list(index) if isinstance(index, (tuple, list)) else [index]
    consumed = sum(1 for part in parts if part is not None and part != "...")
    made: list[Axis] = []
    place = 0
    for part in parts:
        if part is None:
            made.append(())
        elif isinstance(part, str) and part == "...":
            skip = max(rank - consumed, 0)
            made.extend(x.axes[place : place + skip])
            place += skip
        elif isinstance(part, bool) or not isinstance(part, int):
            if place < rank:
                made.append(x.axes[place])
            place += 1
        else:
            place += 1
    made.extend(x.axes[place:])
    if len(made) != len(shape):
        return _by_size(x.axes, shape)
    return tuple(one if size_of(one) == n else cut(one, n) for one, n in zip(made, shape, strict=True))


def _by_size(axes: Axes, shape: tuple[int, ...]) -> Axes:
    """Match axes by their sizes, in order; what matches none is a position."""
    rest = list(axes)
    made: list[Axis] = []
    for n in shape:
        found = next((place for place, one in enumerate(rest) if size_of(one) == n), None)
        made.append(axis(POSITIONS, n) if found is None else rest[found])
        if found is not None:
            del rest[: found + 1]
    return tuple(made)


@backward("getitem", "slice", "narrow", "select", "index_select", "diagonal", "center_crop_pad")
def picked_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    """Zero where nothing was picked."""
    g, x, out = gradients[0], call.known(0), call.outputs[0] if call.outputs else None
    rest: list[Gradient | None] = [None] * (len(call.inputs) - 1)
    if g is None or x is None or out is None:
        return [None, *rest]
    before, after = x.counts(), out.counts()
    share = after.total / before.total
    if share > 1.0:
        # elements picked several times over, as from a table of position biases
        return [Gradient(g.q * share, g.positions * share, g.samples * share, g.features * share), *rest]

    def pairs(now: int, then: int) -> float:
        return (now * (now - 1)) / (then * (then - 1)) * then / now * share if then > 1 and now >= 1 else share

    return [
        Gradient(
            g.q * share,
            g.positions * pairs(after.positions, before.positions),
            g.samples * share * min(after.positions / before.positions, 1.0),
            g.features * pairs(after.features, before.features),
        ),
        *rest,
    ]


@forward("pad")
def padded(call: Call) -> list[Signal | None]:
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None:
        return [None]
    axes = tuple(resized(one, n) for one, n in zip(x.axes, shape, strict=False))
    share = prod(shape_of(x.axes)) / max(prod(shape), 1)
    if call.attr("mode", "constant") != "constant":
        share = 1.0
    call.memory["share"] = share
    made = replace(part_of(x, axes), mean=x.mean * share, q=x.q * share)
    n = x.counts()
    inside = share if n.positions > 1 else 1.0
    return [
        replace(
            made,
            positions=x.positions * share * inside,
            samples=x.samples * share * inside,
            features=x.features * share,
        )
    ]


@backward("pad")
def padded_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g = gradients[0]
    return [
        None if g is None else replace(g, radial_positions=0.0, radial_samples=0.0),
        *[None] * (len(call.inputs) - 1),
    ]


@forward(*_GATHERS)
def gathered(call: Call) -> list[Signal | None]:
    """Elements chosen by an index that does not look at them: the same statistics in another shape."""
    x, shape = call.known(0), call.output_shapes[0]
    rest: list[Signal | None] = [None] * (len(call.output_shapes) - 1)
    if x is None or shape is None:
        return [None, *rest]
    axes = _by_size(x.axes, shape) if len(shape) >= len(x.axes) else regroup(x.axes, shape)
    if size_of(tuple(atom for one in axes for atom in one)) != prod(shape):
        axes = plain(shape, POSITIONS)
    return [part_of(x, axes), *rest]


backward(*_GATHERS)(picked_back)


@forward("unfold")
def unfolded(call: Call) -> list[Signal | None]:
    """Windows laid out as features: (samples, channels x kernel, places)."""
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None or len(shape) < 2:
        return [None]
    lead = x.axes[0] if len(shape) == 3 else ()
    axes: Axes = (lead, axis(FEATURES, shape[-2]), axis(POSITIONS, shape[-1]))
    return [part_of(x, axes[-len(shape) :])]


@forward("fold")
def folded(call: Call) -> list[Signal | None]:
    """The sum of overlapping windows."""
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None:
        return [None]
    times = max(count(x.axes).total / max(prod(shape), 1), 1.0)
    call.memory["times"] = times
    lead = x.axes[0] if len(shape) == 4 else ()
    spatial = tuple(axis(POSITIONS, n) for n in shape[-2:])
    axes: Axes = (lead, axis(FEATURES, shape[-3]), *spatial)
    q = times * x.q + times * (times - 1.0) * x.mean * x.mean
    made = x.fresh(mean=times * x.mean, q=q, positions=times * times * x.positions, samples=times * times * x.samples)
    return [made.fresh(axes=axes[-len(shape) :], features=times * times * x.mean * x.mean, sources={})]


@backward("unfold", "fold")
def folded_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g, x, out = gradients[0], call.known(0), call.outputs[0] if call.outputs else None
    if g is None or x is None or out is None:
        return [None]
    if call.op == "fold":
        return [g.whole()]
    times = out.counts().total / max(x.counts().total, 1)
    return [Gradient(times * g.q, times * times * g.positions, times * times * g.samples)]


@forward("grid_sample")
def grid_sampled(call: Call) -> list[Signal | None]:
    """Bilinear look-up at given places: 4/9 of the local part survives on average."""
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None or len(shape) != len(x.axes):
        return [None]
    axes = tuple(resized(one, n) for one, n in zip(x.axes, shape, strict=True))
    local = 1.0 if call.attr("mode", "bilinear") == "nearest" else (2.0 / 3.0) ** (len(shape) - 2)
    return [x.fresh(q=x.positions + (x.q - x.positions) * local, axes=axes, sources={})]


@backward("grid_sample")
def grid_sampled_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    return [picked_back(call, gradients)[0], None]


@forward("one_hot")
def one_hot(call: Call) -> list[Signal | None]:
    """One of n is one: no gradient goes through."""
    shape = call.output_shapes[0]
    if shape is None or not shape:
        return [None]
    n = max(shape[-1], 1)
    axes = (*plain(shape[:-1], POSITIONS), axis(FEATURES, n))
    return [Signal(1.0 / n, 1.0 / n, 0.0, 1.0 / n**2, 1.0 / n**2, axes)]


@backward("one_hot")
def one_hot_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    return [None] * len(call.inputs)


@forward("shape_of", "size_of", "dims_of", "item", "argmax", "argmin", "nonzero", "argsort", "searchsorted")
def numbers(call: Call) -> list[Signal | None]:
    """Sizes and indices: no signal runs through them."""
    return [None] * len(call.output_shapes)
