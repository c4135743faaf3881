"""Writing elements into a tensor."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from initadvisor.ops.moments.axes import plain, resized
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal


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


@forward(
    "scatter", "scatter_add", "scatter_nd", "index_add", "index_copy", "index_put", "slice_scatter", "select_scatter"
)
def scattered(call: Call) -> list[Signal | None]:
    """A tensor with some elements written or added to: by the share of the elements that come in."""
    x = call.known(0)
    slot = 2 if call.op in ("scatter", "scatter_add", "scatter_nd", "index_add", "index_copy") else 1
    value, shape = call.known(slot), call.output_shapes[0]
    given = call.input_shapes[slot] if slot < len(call.input_shapes) else None
    if x is None or shape is None:
        return [None]
    if value is None:
        return [x.fresh() if not call.lost(slot) else None]
    if x.table and value.table:
        return [x]
    share = min(prod(given or ()) / max(prod(shape), 1), 1.0)
    adds = call.op in ("scatter_add", "index_add")
    call.memory["share"], call.memory["adds"], call.memory["slot"] = share, adds, slot
    kept = 1.0 if adds else 1.0 - share

    def mixed(name: str) -> float:
        return kept * float(getattr(x, name)) + share * float(getattr(value, name))

    axes = x.axes if not x.table else value.axes if len(value.axes) == len(shape) else x.axes
    axes = (
        tuple(resized(one, n) for one, n in zip(axes, shape, strict=True)) if len(axes) == len(shape) else plain(shape)
    )
    changes = {name: mixed(name) for name in ("mean", "q", "features", "positions", "samples")}
    return [x.fresh(axes=axes, free=x.free and value.free, table=False, **changes)]


@backward(
    "scatter", "scatter_add", "scatter_nd", "index_add", "index_copy", "index_put", "slice_scatter", "select_scatter"
)
def scattered_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g = gradients[0]
    made: list[Gradient | None] = [None] * len(call.inputs)
    if g is None:
        return made
    made[0] = g.whole().scaled(1.0 if call.memory.get("adds", True) else 1.0 - call.memory["share"])
    if "slot" in call.memory:
        made[call.memory["slot"]] = g.whole()
    return made
