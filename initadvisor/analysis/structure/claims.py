"""Weight slots and the parameters that fill them: which axes of each stored tensor are in, out, batch and kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from initadvisor.analysis.structure.axes import View
from initadvisor.analysis.structure.equations import operand_layout
from initadvisor.analysis.structure.weights import Term, WeightPaths
from initadvisor.analysis.structure.wiring import Wiring
from initadvisor.graph import Layout, Node, Shape
from initadvisor.ops.registry import LayoutOf

_PRODUCTS = {"matmul": ("right", "left"), "reversed_matmul": ("right", "left"), "addmm": ("right", "left")}
"""Matrix products and the order in which their operands are tried as the weight."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One use of a parameter as a weight.

    layout: how the stored tensor is to be read; None where the path to it is not understood.
    fan_in, fan_out: of the part of the tensor that this node uses.
    region: (stored axis, start, stop) where the node uses a part only.
    """

    node: int
    slot: str
    term: Term
    layout: Layout | None
    fan_in: float | None
    fan_out: float | None
    region: tuple[int, int, int] | None = None


def claims(wiring: Wiring, paths: WeightPaths) -> Iterator[Claim]:
    """Every use of a parameter in a weight slot, in execution order."""
    for node, operator in zip(wiring.nodes, wiring.operators, strict=True):
        if operator is None or operator.family == "recurrent" or not _weighs(wiring, node):
            continue
        if node.op == "einsum":
            yield from _einsum(wiring, paths, node)
        elif node.op in _PRODUCTS:
            yield from _matrix_product(wiring, paths, node)
        else:
            for slot in operator.layouts:
                value = wiring.slot(node, slot)
                if value is not None:
                    layout = slot_layout(operator.layouts[slot], wiring.shape(value), node)
                    yield from _of_slot(wiring, paths, node, slot, value, layout)


def slot_layout(layout_of: LayoutOf, shape: Shape | None, node: Node) -> Layout | None:
    """The layout of a slot; None where the shape is not known or the declared attributes make no sense for it."""
    if shape is None or None in shape:
        return None
    try:
        layout = layout_of(tuple(d for d in shape if d is not None), node.attrs)
    except (TypeError, ValueError, IndexError, ArithmeticError, AttributeError):
        return None
    axes = (*layout.out_axes, *layout.in_axes, *layout.batch_axes)
    fits = all(0 <= axis < len(shape) for axis in axes) and layout.groups > 0 and layout.stride > 0
    return layout if fits else None


def _weighs(wiring: Wiring, node: Node) -> bool:
    """Whether a node applies its weights to something: products of known tensors are weight arithmetic."""
    operator = wiring.operators[node.id]
    return operator is not None and bool(node.outputs) and not wiring.static[node.outputs[0]]


def _matrix_product(wiring: Wiring, paths: WeightPaths, node: Node) -> Iterator[Claim]:
    operator = wiring.operators[node.id]
    assert operator is not None
    found: list[tuple[str, int]] = []
    for slot in _PRODUCTS[node.op]:
        value = wiring.slot(node, slot)
        if value is not None and _is_matrix(paths, value):
            found.append((slot, value))
    # A known matrix before one that a signal picks out of a bank; an embedding times a weight is a signal.
    found.sort(key=lambda item: not wiring.static[item[1]])
    for slot, value in found[:1]:
        layout = slot_layout(operator.layouts[slot], wiring.shape(value), node)
        yield from _of_slot(wiring, paths, node, slot, value, layout)


def _is_matrix(paths: WeightPaths, value: int) -> bool:
    """Whether an operand of a product is a weight; rows looked up in a table (relative positions) are not."""
    term = paths.weight(value)
    return term is not None and not term.picked


def _einsum(wiring: Wiring, paths: WeightPaths, node: Node) -> Iterator[Claim]:
    equation = node.attrs.get("equation")
    operands = [v for v in node.inputs if v is not None]
    held = [i for i, v in enumerate(operands) if _is_matrix(paths, v)]
    held.sort(key=lambda i: not wiring.static[operands[i]])
    if held and not wiring.static[operands[held[0]]]:
        held = held[:1]
    elif len(held) == len(operands):
        held = held[-1:]
    for i in held:
        shape = wiring.shape(operands[i])
        layout = operand_layout(equation, i, len(operands), len(shape)) if shape is not None else None
        yield from _of_slot(wiring, paths, node, "operands...", operands[i], layout)


def _of_slot(
    wiring: Wiring, paths: WeightPaths, node: Node, slot: str, value: int, layout: Layout | None
) -> Iterator[Claim]:
    """One claim for each parameter that the value holds as weight, gain or delta."""
    shape = wiring.shape(value)
    for term in paths.of(value):
        if term.part == "statistic":
            continue
        if layout is None or shape is None:
            yield Claim(node.id, slot, term, None, None, None)
            continue
        parameter = wiring.graph.parameters[term.parameter]
        stored_layout = stored_as(layout, term, parameter.shape, shape)
        fan_in = fan_out = None
        if term.view is not None and term.factor is None and None not in term.view.shape:
            # Fans follow the part that this node uses, on the axes of the slot; a joined weight by its own extent.
            extent = tuple(d if d is not None else 1 for d in term.view.shape)
            if len(extent) == len(shape):
                fan_in, fan_out = layout.fan_in(extent), layout.fan_out(extent)
        if fan_in is None and stored_layout is not None:
            fan_in, fan_out = stored_layout.fan_in(parameter.shape), stored_layout.fan_out(parameter.shape)
        yield Claim(
            node.id,
            slot,
            term,
            stored_layout,
            fan_in,
            fan_out,
            None if term.factor else _region(term.view, parameter.shape, stored_layout),
        )


def stored_as(layout: Layout, term: Term, shape: tuple[int, ...], slot_shape: tuple[int | None, ...]) -> Layout | None:
    """The layout of a slot in terms of the stored axes; None where the way between them is unknown.

    An axis that the node picks one index of holds independent matrices. Where a stored axis runs into slot axes of
    different roles, the larger part decides.
    """
    view = term.view
    if view is None:
        return layout if shape == slot_shape else None
    batch_slots = layout.batch_axes
    out: list[int] = []
    into: list[int] = []
    batch: list[int] = []
    for axis, size in enumerate(shape):
        weights = {"out": 1, "in": 1, "batch": 1, "kernel": 1}
        for place, factors in enumerate(view.axes):
            role = _role(place, layout, batch_slots)
            for factor in factors:
                if factor.axis == axis and factor.size is not None:
                    weights[role] *= factor.size
        role = max(weights, key=lambda r: weights[r])
        if weights[role] == 1:
            role = _role_of_absent(axis, size, shape, term, view, layout)
        {"out": out, "in": into, "batch": batch, "kernel": []}[role].append(axis)
    return Layout(
        tuple(out), tuple(into), tuple(batch), groups=layout.groups, stride=layout.stride, transposed=layout.transposed
    )


def _role(place: int, layout: Layout, batch: tuple[int, ...]) -> str:
    if place in layout.out_axes:
        return "out"
    if place in layout.in_axes:
        return "in"
    return "batch" if place in batch else "kernel"


def _role_of_absent(axis: int, size: int, shape: tuple[int, ...], term: Term, view: View, layout: Layout) -> str:
    """The role of a stored axis that no slot axis runs along: lost in a product, selected, or of size one."""
    if term.factor is not None:
        present = [place for place, factors in enumerate(view.axes) if factors]
        lost = [place for place in range(len(view.axes)) if place not in present]
        return _role(lost[0], layout, layout.batch_axes) if lost else "in"
    if size > 1:
        return "batch"
    # A stored axis of size one keeps the role it has in the slot where the ranks agree.
    return _role(axis, layout, layout.batch_axes) if len(shape) == len(view.axes) else "kernel"


def _region(view: View | None, shape: tuple[int, ...], layout: Layout | None) -> tuple[int, int, int] | None:
    """The part of the one stored axis that is used in part; None for all, or for parts of several axes."""
    if view is None or layout is None:
        return None
    parts = []
    for axis, size in enumerate(shape):
        region = view.region(axis)
        if region is not None and region != (0, size) and size > 1:
            parts.append((axis, *region))
    return parts[0] if len(parts) == 1 else None
