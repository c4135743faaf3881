"""Where the elements of a stored tensor are after any number of reshapes, permutations and slices.

A `View` describes each axis of a value as a product of `Factor`s, outermost first; a factor is a regular walk along
one axis of the stored tensor (or along nothing: a broadcast or a foreign axis). Reshape regroups factors, permute
reorders axes, slicing narrows a factor. What cannot be said this way is None: unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, prod

from initadvisor.graph import Shape

FOREIGN = -1
"""The `Factor.axis` of elements that do not come from the stored tensor: batch, sequence, broadcast."""


@dataclass(frozen=True, slots=True)
class Factor:
    """`size` steps of `stride` along stored axis `axis`; the size is None where it is not known."""

    size: int | None
    axis: int = FOREIGN
    stride: int = 1


Axis = tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class View:
    """A value as an arrangement of a stored tensor: its axes, and where its first element lies on each stored axis."""

    axes: tuple[Axis, ...]
    starts: tuple[int, ...]

    @property
    def shape(self) -> Shape:
        """The shape of the value."""
        return tuple(axis_size(axis) for axis in self.axes)

    def region(self, stored_axis: int) -> tuple[int, int] | None:
        """[start, stop) that the value covers of a stored axis, or None where it covers it with gaps."""
        factors = sorted(
            (f for axis in self.axes for f in axis if f.axis == stored_axis and f.size != 1), key=lambda f: f.stride
        )
        extent = 1
        for factor in factors:
            if factor.size is None or factor.stride != extent:
                return None
            extent *= factor.size
        return self.starts[stored_axis], self.starts[stored_axis] + extent

    def places(self, stored_axis: int) -> list[int]:
        """The axes of the value that run along a stored axis."""
        return [i for i, axis in enumerate(self.axes) if any(f.axis == stored_axis and f.size != 1 for f in axis)]


def stored(shape: Sequence[int]) -> View:
    """The tensor as it is stored."""
    return View(tuple((Factor(size, i),) if size != 1 else () for i, size in enumerate(shape)), (0,) * len(shape))


def channel_of(shape: Shape, axis: int) -> View:
    """A signal of which only one axis matters: that axis is stored axis 0, everything else is foreign."""
    axis %= len(shape)
    return View(tuple((Factor(size, 0 if i == axis else FOREIGN),) for i, size in enumerate(shape)), (0,))


def axis_size(axis: Axis) -> int | None:
    """The number of elements along an axis, None where a factor is unknown."""
    sizes = [f.size for f in axis]
    return None if None in sizes else prod(s for s in sizes if s is not None)


def merged(axis: Axis) -> Axis:
    """The axis with neighbouring factors joined where they form one longer walk."""
    out: list[Factor] = []
    for factor in axis:
        if factor.size == 1:
            continue
        joined = _joined(out[-1], factor) if out else None
        if joined is None:
            out.append(factor)
        else:
            out[-1] = joined
    return tuple(out)


def _joined(outer: Factor, inner: Factor) -> Factor | None:
    if outer.axis != inner.axis:
        return None
    if outer.size is None or inner.size is None:
        return Factor(None) if outer.axis == FOREIGN else None
    if outer.axis == FOREIGN or outer.stride == inner.stride * inner.size:
        return Factor(outer.size * inner.size, inner.axis, inner.stride)
    return None


def permute(view: View, order: Sequence[int]) -> View | None:
    """Axis i of the result is axis order[i] of the view."""
    rank = len(view.axes)
    if sorted(o % rank for o in order) != list(range(rank)):
        return None
    return View(tuple(view.axes[o % rank] for o in order), view.starts)


def reshape(view: View, shape: Shape) -> View | None:
    """The view under another shape with the same elements in the same order.

    Unknown sizes are matched from both ends. One unknown size takes whatever is left; where several are left, they
    may only be foreign.
    """
    factors = [f for axis in view.axes for f in axis if f.size != 1]
    target: list[Axis | None] = [None] * len(shape)
    left, right = 0, len(shape)
    while right > left:
        size = shape[right - 1]
        taken = _take(factors, size, -1) if size is not None else None
        if taken is None:
            break
        right -= 1
        target[right] = taken
    while left < right:
        size = shape[left]
        if size is not None:
            taken = _take(factors, size, 0)
        else:
            alone = right - left == 1 or not factors or factors[0] != Factor(None)
            taken = None if alone else (factors.pop(0),)
        if taken is None:
            break
        target[left] = taken
        left += 1
    if right - left == 1 and shape[left] is None:
        target[left] = merged(tuple(factors))
    elif right > left:
        if any(f.axis != FOREIGN for f in factors):
            return None
        target[left:right] = [(Factor(size),) for size in shape[left:right]]
    elif factors:
        return None
    return View(tuple(axis if axis is not None else () for axis in target), view.starts)


def _take(factors: list[Factor], size: int, end: int) -> Axis | None:
    """Remove `size` elements' worth of factors from one end of the list; None (and no change) where they don't fit."""
    left, taken, rest = size, list[Factor](), list(factors)
    while left != 1:
        if not rest or rest[end].size is None or left == 0:
            return None
        factor = rest.pop(end)
        assert factor.size is not None
        if left % factor.size == 0:
            taken.append(factor)
            left //= factor.size
        elif factor.size % left == 0:
            inner = factor.size // left
            if end == 0:
                outer_part, inner_part = (
                    Factor(left, factor.axis, factor.stride * inner),
                    Factor(inner, factor.axis, factor.stride),
                )
                taken.append(outer_part)
                rest.insert(0, inner_part)
            else:
                outer_part, inner_part = (
                    Factor(inner, factor.axis, factor.stride * left),
                    Factor(left, factor.axis, factor.stride),
                )
                taken.append(inner_part)
                rest.append(outer_part)
            left = 1
        else:
            return None
    factors[:] = rest
    return merged(tuple(taken if end == 0 else reversed(taken)))


def narrow(view: View, axis: int, start: int, stop: int, step: int = 1) -> View | None:
    """Elements start, start+step, ... below stop of one axis."""
    axis %= len(view.axes)
    factors = view.axes[axis]
    size = axis_size(factors)
    if size is None:
        return None
    if start < 0:
        start += size
    if stop < 0:
        stop += size
    start, stop = max(0, min(start, size)), max(0, min(stop, size))
    length = max(0, -(-(stop - start) // step)) if step > 0 else 0
    if length == 0:
        return None
    if length == size:
        return view
    inner = prod(f.size or 1 for f in factors[1:])
    starts = list(view.starts)
    if len(factors) > 1:
        whole = gcd(start, stop - start)
        if step != 1 or whole % inner:
            return _within(view, axis, start, length) if step == 1 else None
        start, length = start // inner, length // inner
    first = factors[0]
    if first.axis != FOREIGN:
        starts[first.axis] += start * first.stride
    narrowed = merged((Factor(length, first.axis, first.stride * step), *factors[1:]))
    return View((*view.axes[:axis], narrowed, *view.axes[axis + 1 :]), tuple(starts))


def _within(view: View, axis: int, start: int, length: int) -> View | None:
    """A slice that lies inside one step of the outermost factors."""
    factors, starts = view.axes[axis], list(view.starts)
    for i, factor in enumerate(factors):
        inner = prod(f.size or 1 for f in factors[i + 1 :])
        index, rest = divmod(start, inner)
        if rest + length > inner:
            if rest or length % inner:
                return None
            kept: Axis = (Factor(length // inner, factor.axis, factor.stride), *factors[i + 1 :])
            if factor.axis != FOREIGN:
                starts[factor.axis] += index * factor.stride
            return View((*view.axes[:axis], merged(kept), *view.axes[axis + 1 :]), tuple(starts))
        if factor.axis != FOREIGN:
            starts[factor.axis] += index * factor.stride
        start = rest
    return View((*view.axes[:axis], (), *view.axes[axis + 1 :]), tuple(starts))


def select(view: View, axis: int, index: int) -> View | None:
    """One index of an axis, the axis dropped."""
    axis %= len(view.axes)
    size = axis_size(view.axes[axis])
    if size is None or not -size <= index < size:
        return None
    one = narrow(view, axis, index % size, index % size + 1)
    return None if one is None else View((*one.axes[:axis], *one.axes[axis + 1 :]), one.starts)


def insert(view: View, axis: int, size: int | None = 1) -> View:
    """A new axis of one foreign element, or of `size` broadcast ones."""
    axis = axis % (len(view.axes) + 1)
    new: Axis = () if size == 1 else (Factor(size),)
    return View((*view.axes[:axis], new, *view.axes[axis:]), view.starts)


def broadcast(view: View, shape: Shape) -> View | None:
    """The view expanded to a shape: axes of one element repeat, missing leading axes are added."""
    extra = len(shape) - len(view.axes)
    if extra < 0:
        return None
    axes: list[Axis] = []
    for size, axis in zip(shape, ((),) * extra + view.axes, strict=True):
        own = axis_size(axis)
        if own == size:
            axes.append(axis)
        elif own == 1:
            axes.append((Factor(size),))
        else:
            return None
    return View(tuple(axes), view.starts)
