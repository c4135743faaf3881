"""How a `View` of one input passes through an operator that only rearranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from initadvisor.analysis.structure.axes import (
    FOREIGN,
    Axis,
    Factor,
    View,
    axis_size,
    broadcast,
    insert,
    narrow,
    permute,
    reshape,
    select,
)
from initadvisor.analysis.structure.sizes import target_shape
from initadvisor.analysis.structure.wiring import SAME_PLACES, Wiring
from initadvisor.graph import Node, Shape

_REGROUP = frozenset({"reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "atleast_nd"})


def move(wiring: Wiring, node: Node, view: View) -> list[View | None]:
    """The view of each output of `node`, given that of its first input; None where it cannot be said."""
    shapes = [wiring.shape(output) for output in node.outputs]
    if node.op in ("split", "chunk", "unbind"):
        return [_agree(part, shape) for part, shape in zip(_parts(node, view, shapes), shapes, strict=True)]
    moved = _one(wiring, node, view, shapes[0] if shapes else None)
    return [_agree(moved, shapes[0])] + [None] * (len(shapes) - 1) if shapes else []


def _agree(view: View | None, shape: Shape | None) -> View | None:
    """The view, unless it contradicts the recorded shape."""
    if view is None or shape is None:
        return view
    if len(view.axes) != len(shape):
        return None
    for axis, size in zip(view.axes, shape, strict=True):
        own = axis_size(axis)
        if own is not None and size is not None and own != size:
            return None
    return view


def _one(wiring: Wiring, node: Node, view: View, shape: Shape | None) -> View | None:
    attrs, rank = node.attrs, len(view.axes)
    if node.op in SAME_PLACES:
        return view
    if node.op in _REGROUP:
        target = target_shape(wiring, node)
        return None if target is None else reshape(view, target)
    if node.op == "permute":
        dims = attrs.get("dims")
        return permute(view, _ints(dims) or range(rank)[::-1])
    if node.op == "transpose":
        return _swap(view, attrs.get("dim0"), attrs.get("dim1"))
    if node.op == "matrix_transpose":
        return _swap(view, -2, -1) if rank >= 2 else view
    if node.op == "movedim":
        return _movedim(view, _ints(attrs.get("source")), _ints(attrs.get("destination")))
    if node.op == "expand":
        return None if shape is None else broadcast(view, shape)
    if node.op == "repeat":
        return (
            None
            if shape is None
            else broadcast(view, shape)
            if all(axis_size(a) in (1, s) for a, s in zip(view.axes[::-1], shape[::-1], strict=False))
            else None
        )
    if node.op == "slice":
        return _slices(view, attrs)
    if node.op == "narrow":
        given = _ints(tuple(attrs.get(k) for k in ("dim", "start", "length")))
        return narrow(view, given[0], given[1], given[1] + given[2]) if given and -rank <= given[0] < rank else None
    if node.op == "select":
        place = _ints(tuple(attrs.get(k) for k in ("dim", "index")))
        return select(view, *place) if place and -rank <= place[0] < rank else None
    if node.op == "getitem":
        return _getitem(view, attrs.get("index"))
    if node.op == "index_select":
        return _gather(wiring, node, view)
    return None


def _known(*numbers: Any) -> bool:
    return all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)


def _ints(value: Any) -> tuple[int, ...] | None:
    """A tuple of ints from what an attribute holds: an int, a sequence, or one sequence inside a sequence."""
    if _known(value):
        return (value,)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) == 1 and isinstance(value[0], Sequence):
            return _ints(value[0])
        if value and _known(*value):
            return tuple(value)
    return None


def _swap(view: View, first: Any, second: Any) -> View | None:
    rank = len(view.axes)
    if not _known(first, second) or not rank:
        return None
    order = list(range(rank))
    order[first % rank], order[second % rank] = order[second % rank], order[first % rank]
    return permute(view, order)


def _movedim(view: View, source: tuple[int, ...] | None, destination: tuple[int, ...] | None) -> View | None:
    rank = len(view.axes)
    if source is None or destination is None or len(source) != len(destination):
        return None
    moved = {d % rank: s % rank for s, d in zip(source, destination, strict=True)}
    rest = iter(i for i in range(rank) if i not in moved.values())
    return permute(view, [moved[i] if i in moved else next(rest) for i in range(rank)])


def _slices(view: View, attrs: dict[str, Any]) -> View | None:
    starts, ends, dims, steps = (_ints(attrs.get(k)) for k in ("start", "end", "dim", "step"))
    if starts is None or ends is None:
        return None
    dims = dims or tuple(range(len(starts)))
    steps = steps or (1,) * len(starts)
    out: View | None = view
    for start, end, dim, step in zip(starts, ends, dims, steps, strict=True):
        if out is None or step < 1 or not -len(view.axes) <= dim < len(view.axes):
            return None
        out = narrow(out, dim, start, end, step)
    return out


def _getitem(view: View, index: Any) -> View | None:
    """Basic indexing: ints, slices, None and "..."; anything else is unknown."""
    items = [Ellipsis if i == "..." else i for i in (index if isinstance(index, (tuple, list)) else (index,))]
    if not all(i is None or i is Ellipsis or isinstance(i, slice) or _known(i) for i in items):
        return None
    given = sum(i is not None and i is not Ellipsis for i in items)
    if items.count(Ellipsis) == 0:
        items.append(Ellipsis)
    if items.count(Ellipsis) != 1 or given > len(view.axes):
        return None
    out: View | None = view
    place = 0
    for item in items:
        if out is None:
            return None
        if item is Ellipsis:
            place += len(view.axes) - given
        elif item is None:
            out = insert(out, place)
            place += 1
        elif isinstance(item, slice):
            start, stop, step = item.start, item.stop, item.step
            if not all(n is None or _known(n) for n in (start, stop, step)) or (step is not None and step < 1):
                return None
            if start is not None or stop is not None or step is not None:
                size = axis_size(out.axes[place])
                if size is None:
                    out = _foreign_slice(out, place)
                else:
                    out = narrow(out, place, *slice(start, stop, step).indices(size))
            place += 1
        else:
            if axis_size(out.axes[place]) is None and all(f.axis == FOREIGN for f in out.axes[place]):
                out = View((*out.axes[:place], *out.axes[place + 1 :]), out.starts)
            else:
                out = select(out, place, item)
    return out


def _foreign_slice(view: View, axis: int) -> View | None:
    if any(f.axis != FOREIGN for f in view.axes[axis]):
        return None
    new: Axis = (Factor(None),)
    return View((*view.axes[:axis], new, *view.axes[axis + 1 :]), view.starts)


def _gather(wiring: Wiring, node: Node, view: View) -> View | None:
    """ONNX Gather with a constant index: one number selects, anything else is unknown."""
    index, dim = wiring.slot(node, "index"), node.attrs.get("dim", 0)
    constant = wiring.values[index].constant if index is not None else None
    if constant is None or not _known(dim) or not -len(view.axes) <= dim < len(view.axes):
        return None
    if constant.size == 1:
        chosen = select(view, dim, int(constant.flat[0]))
        return chosen if chosen is None or constant.ndim == 0 else insert(chosen, dim % len(view.axes))
    flat = constant.ravel()
    if constant.ndim == 1 and (flat[1:] - flat[:-1] == 1).all():
        return narrow(view, dim, int(flat[0]), int(flat[-1]) + 1)
    return None


def _parts(node: Node, view: View, shapes: list[Shape | None]) -> list[View | None]:
    """The outputs of split, chunk and unbind, placed one after the other along the axis."""
    dim = node.attrs.get("dim", 0)
    dim = 0 if dim is None else dim
    if not _known(dim) or not -len(view.axes) <= dim < len(view.axes):
        return [None] * len(shapes)
    dim %= len(view.axes)
    if node.op == "unbind":
        return [select(view, dim, i) for i in range(len(shapes))]
    parts: list[View | None] = []
    start = 0
    for shape in shapes:
        size = None if shape is None or len(shape) <= dim else shape[dim]
        if size is None:
            return [None] * len(shapes)
        parts.append(narrow(view, dim, start, start + size) if size else None)
        start += size
    return parts
