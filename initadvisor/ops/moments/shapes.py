"""Operators that move elements without changing them, and joins and splits along an axis."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from initadvisor.ops.gains import ScalarFunction
from initadvisor.ops.moments.axes import (
    FEATURES,
    POSITIONS,
    SAMPLES,
    Axes,
    Axis,
    axis,
    count,
    dominant,
    regroup,
    resized,
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
)
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


@forward("cat", "stack")
def joined(call: Call) -> list[Signal | None]:
    """Elements of several signals side by side: averages by their shares."""
    shape = call.output_shapes[0]
    if shape is None or not call.inputs or any(s is None for s in call.inputs):
        return [None]
    given = [s for s in call.inputs if s is not None]
    rank = len(shape)
    dim = int(call.attr("dim", 0)) % max(rank, 1)
    leader = max(given, key=lambda s: (not s.free, prod(shape_of(s.axes))))
    lead = leader.axes if call.op == "cat" else (*leader.axes[:dim], (), *leader.axes[dim:])
    lead = lead if len(lead) == rank else regroup(lead, shape)
    role = dominant(lead[dim]) if call.op == "cat" and lead[dim] else FEATURES
    axes = tuple(axis(role, shape[dim]) if place == dim else one for place, one in enumerate(lead))
    sizes = [prod(shape_of(s.axes)) for s in given]
    whole = sum(sizes)
    if whole == 0:
        return [None]
    call.memory["shares"] = [n / whole for n in sizes]
    looked = []
    for s in given:
        own = (
            tuple(axis(role, size_of(s.axes[dim])) if place == dim else one for place, one in enumerate(lead))
            if (call.op == "cat" and len(s.axes) == rank)
            else s.axes
        )
        looked.append(repeated(s, own)[0] if s.free and call.op == "cat" else s)

    def average(values: list[float]) -> float:
        return float(sum(share * value for share, value in zip(call.memory["shares"], values, strict=True)))

    means = [s.mean for s in looked]
    mean = average(means)
    apart = mean * mean - average([m * m * w for m, w in zip(means, call.memory["shares"], strict=True)])
    along = average([w * v for w, v in zip(call.memory["shares"], _along(looked, role), strict=True)]) + apart
    made = Signal(
        mean,
        average([s.q for s in looked]),
        along if role == FEATURES else average([s.features for s in looked]),
        along if role == POSITIONS else average([s.positions for s in looked]),
        along if role == SAMPLES else average([s.samples for s in looked]),
        axes,
        free=all(s.free for s in given),
    )
    if role == FEATURES and call.op == "cat" and not made.free:
        made.parts = _parts(looked, call.memory["shares"])
    made.law = _common_law(looked, call.memory["shares"])
    return [made]


def _parts(signals: list[Signal], shares: list[float]) -> tuple[tuple[float, Signal], ...]:
    """Share and signal of each input, those of inputs that are concatenations themselves laid flat."""
    flat: list[tuple[float, Signal]] = []
    for s, share in zip(signals, shares, strict=True):
        flat.extend([(share * inner, part) for inner, part in s.parts] or [(share, s)])
    return tuple(flat)


def _common_law(signals: list[Signal], shares: list[float]) -> tuple[Signal, ScalarFunction] | None:
    """The distribution of the whole where every input is the same function of something Gaussian."""
    laws = [(s.base, s.function) if s.base is not None else s.law for s in signals]
    if any(law is None or law[1] is None for law in laws):
        return None
    known = [(root, f) for law in laws if law is not None for root, f in [law] if root is not None and f is not None]
    first = known[0][1]
    if any(f is not first for _, f in known):
        return None

    def average(name: str) -> float:
        return sum(share * float(getattr(root, name)) for share, (root, _) in zip(shares, known, strict=True))

    mixed = known[0][0].fresh(**{name: average(name) for name in ("mean", "q", "features", "positions", "samples")})
    return mixed, first


def _along(parts: list[Signal], role: str) -> list[float]:
    if role == FEATURES:
        return [s.features for s in parts]
    return [s.positions if role == POSITIONS else s.samples for s in parts]


@backward("cat", "stack")
def joined_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g = gradients[0]
    if g is None:
        return [None] * len(call.inputs)
    made: list[Gradient | None] = []
    place = 0
    for s in call.inputs:
        width = max(len(s.parts), 1) if s is not None else 1
        own = g.parts[place : place + width]
        place += width
        made.append(None if s is None else _joined_parts(own, s) if own else g.whole())
    return made


def _joined_parts(own: tuple[Gradient, ...], s: Signal) -> Gradient:
    """The gradient of one input, which may be a concatenation itself."""
    if len(own) == 1:
        return own[0].whole()
    total = Gradient(0.0)
    for (share, _), part in zip(s.parts, own, strict=True):
        total = total.plus(part.whole().scaled(share))
    total.parts = own
    return total


@forward("split", "chunk", "unbind")
def parted(call: Call) -> list[Signal | None]:
    x = call.known(0)
    if x is None:
        return [None] * len(call.output_shapes)
    rank = len(x.axes)
    dim = int(call.attr("dim", 0)) % max(rank, 1)
    made: list[Signal | None] = []
    for shape in call.output_shapes:
        if shape is None:
            made.append(None)
        elif call.op == "unbind":
            made.append(_slice(x, (*x.axes[:dim], *x.axes[dim + 1 :])))
        else:
            axes = tuple(_cut(one, shape[place]) if place == dim else one for place, one in enumerate(x.axes))
            made.append(_slice(x, axes))
    return made


def _cut(one: Axis, size: int) -> Axis:
    """The outermost part of an axis, its inner atoms kept where they fit."""
    inner = size_of(one[1:])
    if len(one) > 1 and size % inner == 0:
        return (*axis(one[0][0], size // inner), *one[1:])
    return resized(one, size)


def _slice(x: Signal, axes: Axes) -> Signal:
    """Some of the elements: no longer aligned with the whole."""
    return x.fresh(axes=axes, sources={})


@backward("split", "chunk", "unbind")
def parted_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    x = call.known(0)
    whole = prod(shape_of(x.axes)) if x is not None else 0
    total: Gradient | None = None
    for g, out in zip(gradients, call.outputs, strict=False):
        if g is None or out is None or not whole:
            continue
        share = prod(shape_of(out.axes)) / whole
        part = replace(g, radial_positions=0.0, radial_samples=0.0).scaled(share)
        total = part if total is None else total.plus(part)
    return [total, *[None] * (len(call.inputs) - 1)]


@forward("getitem", "slice", "narrow", "select", "index_select", "diagonal", "center_crop_pad")
def picked(call: Call) -> list[Signal | None]:
    x, shape = call.known(0), call.output_shapes[0]
    if x is None or shape is None:
        return [None]
    return [_slice(x, _picked_axes(call, x, shape))]


def _picked_axes(call: Call, x: Signal, shape: tuple[int, ...]) -> Axes:
    rank = len(x.axes)
    if len(shape) == rank and call.op != "getitem":
        return tuple(_cut(one, n) if size_of(one) != n else one for one, n in zip(x.axes, shape, strict=True))
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
    return tuple(one if size_of(one) == n else _cut(one, n) for one, n in zip(made, shape, strict=True))


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
    made = replace(_slice(x, axes), mean=x.mean * share, q=x.q * share)
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


@forward("setitem")
def written(call: Call) -> list[Signal | None]:
    """Some elements replaced: by their share."""
    x, value, shape, part = call.known(0), call.known(1), call.output_shapes[0], call.input_shapes[1]
    if x is None or value is None or shape is None:
        return [None]
    if x.table or (x.constant is not None and value.constant is not None):
        return [replace(x, table=True, constant=None)]
    share = min(prod(part or ()) / max(prod(shape), 1), 1.0)
    if share >= 1.0:
        return [value.fresh(axes=x.axes)]
    call.memory["share"] = share

    def mixed(name: str) -> float:
        return (1.0 - share) * float(getattr(x, name)) + share * float(getattr(value, name))

    return [x.fresh(**{name: mixed(name) for name in ("mean", "q", "features", "positions", "samples")})]


@backward("setitem")
def written_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g = gradients[0]
    rest: list[Gradient | None] = [None] * (len(call.inputs) - 2)
    if g is None:
        return [None, None, *rest]
    share = call.memory.get("share", 1.0)
    return [g.whole().scaled(1.0 - share), g.whole(), *rest]


@forward("shape_of", "size_of", "dims_of", "item", "argmax", "argmin", "nonzero", "argsort", "searchsorted")
def numbers(call: Call) -> list[Signal | None]:
    """Sizes and indices: no signal runs through them."""
    return [None] * len(call.output_shapes)


def sizes(x: Signal) -> int:
    """The number of elements of a signal."""
    return count(x.axes).total
