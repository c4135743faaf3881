"""Joining signals along an axis, and parting them again."""

from __future__ import annotations

from math import prod

from initadvisor.ops.gains import ScalarFunction
from initadvisor.ops.moments.axes import FEATURES, POSITIONS, SAMPLES, axis, dominant, regroup, shape_of, size_of
from initadvisor.ops.moments.broadcasting import repeated
from initadvisor.ops.moments.places import Profile, mixed
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.selection import cut, part_of
from initadvisor.ops.moments.signal import Gradient, Signal


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
        places=_common_places(looked, call.memory["shares"]) if role == FEATURES else (),
    )
    if role == FEATURES and call.op == "cat" and not made.free:
        made.parts = _parts(looked, call.memory["shares"])
    made.law = _common_law(looked, call.memory["shares"])
    return [made]


def _common_places(signals: list[Signal], shares: list[float]) -> Profile:
    """The profile of the whole, each signal counting by its share of the second moment."""
    total, energy = signals[0].places, shares[0] * signals[0].q
    for s, share in zip(signals[1:], shares[1:], strict=True):
        more = share * s.q
        total = mixed(total, s.places, energy / max(energy + more, 1e-300))
        energy += more
    return total


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
            made.append(part_of(x, (*x.axes[:dim], *x.axes[dim + 1 :])))
        else:
            axes = tuple(cut(one, shape[place]) if place == dim else one for place, one in enumerate(x.axes))
            made.append(part_of(x, axes))
    return made


@backward("split", "chunk", "unbind")
def parted_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    x = call.known(0)
    whole = prod(shape_of(x.axes)) if x is not None else 0
    total: Gradient | None = None
    for g, out in zip(gradients, call.outputs, strict=False):
        if g is None or out is None or not whole:
            continue
        share = prod(shape_of(out.axes)) / whole
        part = g.whole().scaled(share)
        total = part if total is None else total.plus(part)
    return [total, *[None] * (len(call.inputs) - 1)]
