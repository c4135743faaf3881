"""Which parameters a static value is made of: weights behind transposes, slices, casts and reparametrizations.

One forward pass over the static part of the graph gives each value its `Term`s. A term is one parameter's part in
the value: where its elements went (`View`), and what arithmetic changed them on the way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Literal

from initadvisor.analysis.structure.axes import FOREIGN, Axis, Factor, View, broadcast, insert, stored
from initadvisor.analysis.structure.movement import move
from initadvisor.analysis.structure.wiring import Wiring
from initadvisor.graph import Node

Part = Literal["weight", "gain", "statistic", "delta"]
"""weight: the elements themselves; gain: a factor on them (the g of weight norm); statistic: their norm, mean or
other reduction; delta: a correction added to another weight (LoRA merged into its base)."""

MAX_TERMS = 64
"""Terms kept for one value: a sum of more parameters than this is not read as a weight."""


@dataclass(frozen=True, slots=True)
class Term:
    """One parameter's part in a value.

    scale, offset: the value holds scale * parameter + offset where both are known; None where arithmetic with other
        tensors lies between.
    scale_free: the arithmetic divides the scale of the parameter out (weight norm, standardisation).
    factor: "left" or "right" where the value is a product of two parameters, whose inner axis is gone.
    bank: a data-dependent index picks one of several matrices along the first stored axis.
    picked: rows were picked by an index, so that nothing is known of their order.
    how: the operator that reparametrizes ("weight_norm", "matmul" ...), "" for a plain path.
    """

    parameter: str
    view: View | None
    part: Part = "weight"
    scale: float | None = 1.0
    offset: float | None = 0.0
    scale_free: bool = False
    factor: Literal["left", "right"] | None = None
    bank: bool = False
    picked: bool = False
    how: str = ""

    @property
    def plain(self) -> bool:
        """Whether the value holds the parameter's own numbers, up to arrangement."""
        return self.part == "weight" and self.scale == 1.0 and self.offset == 0.0


Terms = tuple[Term, ...]

_SCALE_FREE_NORMS = frozenset({"weight_norm", "normalize", "batch_norm", "layer_norm", "instance_norm", "group_norm"})
_PICKS = frozenset({"index_select", "getitem", "gather", "gather_nd", "take"})
_ODD = frozenset({"neg", "positive"})


class WeightPaths:
    """The terms of every static value that holds parameters."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self._terms: dict[int, Terms] = {}
        for value in wiring.values:
            if value.parameter is not None and value.parameter in wiring.graph.parameters:
                parameter = wiring.graph.parameters[value.parameter]
                self._terms[value.id] = (Term(value.parameter, stored(parameter.shape)),)
        for node in wiring.nodes:
            if any(v in self._terms for v in node.inputs if v is not None):
                self._pass(node)

    def of(self, value: int | None) -> Terms:
        """The terms of a value, empty where it holds no parameter."""
        return () if value is None else self._terms.get(value, ())

    def weight(self, value: int | None) -> Term | None:
        """The parameter whose numbers a value holds, the one with the largest part where there are several."""
        own = [t for t in self.of(value) if t.part == "weight"]
        if not own:
            return None
        return max(own, key=lambda t: self.wiring.graph.parameters[t.parameter].size)

    def _pass(self, node: Node) -> None:
        if not node.outputs:
            return
        if self.wiring.static[node.outputs[0]]:
            if self.wiring.transparent(node) and node.op not in ("cat", "stack", "broadcast_tensors"):
                self._move(node)
            else:
                self._keep(node, self._combine(node))
        elif node.op in ("index_select", "getitem", "gather") and node.inputs:
            self._pick(node)

    def _keep(self, node: Node, terms: Terms) -> None:
        if terms and len(terms) <= MAX_TERMS:
            for output in node.outputs:
                self._terms[output] = terms

    def _move(self, node: Node) -> None:
        terms = self.of(node.inputs[0])
        moved = [
            (term, move(self.wiring, node, term.view) if term.view is not None else [None] * len(node.outputs))
            for term in terms
        ]
        by_index = node.op in _PICKS
        for i, output in enumerate(node.outputs):
            kept = tuple(
                replace(term, view=view, picked=term.picked or (by_index and view is None))
                for term, views in moved
                for view in (views[i] if i < len(views) else None,)
            )
            if kept:
                self._terms[output] = kept

    def _pick(self, node: Node) -> None:
        """A signal picks matrices out of a bank of at least three axes: mixture-of-experts weights by index."""
        out = self.wiring.shape(node.outputs[0])
        kept = []
        for term in self.of(node.inputs[0]):
            if term.view is None or len(term.view.axes) < 3 or term.part != "weight" or out is None:
                continue
            rest = term.view.axes[1:]
            lead = len(out) - len(rest)
            if lead < 0 or tuple(out[lead:]) != View(rest, ()).shape:
                continue
            axes: tuple[Axis, ...] = (*((Factor(size),) for size in out[:lead]), *rest)
            kept.append(replace(term, view=View(axes, term.view.starts), bank=True))
        self._keep(node, tuple(kept))

    def _combine(self, node: Node) -> Terms:
        op = node.op
        if op in ("cat", "stack"):
            return self._join(node)
        if op in ("matmul", "reversed_matmul"):
            return self._product(node)
        family = self.wiring.family(node)
        if op == "weight_norm":
            v, g = (self.of(self.wiring.slot(node, name)) for name in ("v", "g"))
            return tuple(replace(t, scale=None, scale_free=True, how=op) for t in v) + _gains(g)
        if family == "norm" and op in _SCALE_FREE_NORMS:
            body = tuple(
                replace(t, scale=None, scale_free=True, how=t.how or op)
                for t in self.of(self.wiring.slot(node, "input"))
            )
            return body + _gains(self.of(self.wiring.slot(node, "weight")))
        if family == "reduce":
            return tuple(replace(t, part="statistic", view=None, scale=None) for t in self.of(node.inputs[0]))
        return self._arithmetic(node)

    def _join(self, node: Node) -> Terms:
        """Parameters laid end to end (a fused weight made of parts) keep their own axes."""
        dim = node.attrs.get("dim", 0) or 0
        terms: list[Term] = []
        for value in node.inputs:
            for term in self.of(value):
                view = term.view
                if view is not None and node.op == "stack" and isinstance(dim, int):
                    view = insert(view, dim)
                terms.append(replace(term, view=view))
        return tuple(terms)

    def _product(self, node: Node) -> Terms:
        """A product of two parameters is a low-rank weight: each keeps its outer axis."""
        left, right = (self.of(self.wiring.slot(node, name)) for name in ("left", "right"))
        terms = []
        for side, own, kept in (("left", left, -2), ("right", right, -1)):
            for term in own:
                view = term.view
                if view is not None:
                    outer: Axis = view.axes[kept] if len(view.axes) >= 2 else ()
                    lost: Axis = ()
                    view = View((outer, lost) if side == "left" else (lost, outer), view.starts)
                both = bool(left) and bool(right)
                terms.append(
                    replace(term, view=view, factor=side if both else None, how="matmul", scale=None)  # type: ignore[arg-type]
                )
        return tuple(terms)

    def _arithmetic(self, node: Node) -> Terms:
        """Element-wise arithmetic: the operand that fills the result is the weight, the others act on it."""
        out = self.wiring.shape(node.outputs[0])
        operands = [(v, self.of(v)) for v in node.inputs if v is not None]
        others = [self.wiring.scalar(v) for v, terms in operands if not terms]
        holders = [(v, terms) for v, terms in operands if terms]
        if len(holders) == 1:
            return tuple(self._scaled(node, term, holders[0][0], others) for term in holders[0][1])
        body, rest = self._split_roles(node, holders)
        additive = node.op in ("add", "sub", "reversed_add", "reversed_sub", "variadic_sum")
        shrinking = node.op in ("div", "reversed_div", "mul", "reversed_mul")
        terms: list[Term] = []
        for term in body:
            free = term.scale_free or (shrinking and _is_own_statistic(term, rest))
            view = broadcast(term.view, out) if term.view is not None and out is not None else term.view
            if additive and all(t.part != "statistic" for t in rest):
                terms.append(replace(term, view=view))  # a correction beside the weight leaves its scale alone
            else:
                terms.append(replace(term, view=view, scale=None, scale_free=free, how=term.how or node.op))
        own = {term.parameter for term in body}
        for term in rest:
            if term.part == "statistic" or term.parameter in own:
                continue
            part: Part = "delta" if additive else "gain"
            part = part if term.part == "weight" else term.part
            terms.append(replace(term, part=part, scale=None, how=term.how or node.op))
        return tuple(terms)

    def _split_roles(self, node: Node, holders: list[tuple[int, Terms]]) -> tuple[list[Term], list[Term]]:
        """(terms of the operand that is the weight, terms of the others).

        The weight is the largest operand; among equals the one that is not a product of factors, then the one that
        is not reduced to a statistic, then the first.
        """

        def weightiness(item: tuple[int, Terms]) -> tuple[int, bool, bool]:
            value, terms = item
            shape = self.wiring.shape(value) or ()
            own = any(t.part == "weight" for t in terms)
            return prod(d or 1 for d in shape) if own else -1, not any(t.factor for t in terms), own

        best = max(holders, key=weightiness)
        return list(best[1]), [t for value, terms in holders if value != best[0] for t in terms]

    def _scaled(self, node: Node, term: Term, holder: int, others: list[float | None]) -> Term:
        """The term after arithmetic with known numbers (scale and offset), or None for them after anything else."""
        op, number = node.op, others[0] if len(others) == 1 else None
        scale, offset = term.scale, term.offset
        if op in _ODD and scale is not None and offset is not None:
            sign = -1.0 if op == "neg" else 1.0
            return replace(term, scale=sign * scale, offset=sign * offset)
        if number is not None and scale is not None and offset is not None:
            if op in ("mul", "reversed_mul"):
                return replace(term, scale=scale * number, offset=offset * number)
            if op == "div" and node.inputs[0] == holder and number != 0:
                return replace(term, scale=scale / number, offset=offset / number)
            if op in ("add", "reversed_add"):
                return replace(term, offset=offset + number)
            if op == "sub" and node.inputs[0] == holder:
                return replace(term, offset=offset - number)
            if op in ("sub", "reversed_sub"):
                return replace(term, scale=-scale, offset=number - offset)
        same = self.wiring.shape(node.outputs[0]) == self.wiring.shape(holder)
        how = term.how if number is not None else term.how or op
        return replace(term, view=term.view if same else None, scale=None, offset=None, how=how)


def _gains(terms: Terms) -> Terms:
    return tuple(replace(t, part="gain", scale=None) for t in terms)


def _is_own_statistic(term: Term, rest: list[Term]) -> bool:
    """Whether another operand is computed from this very parameter: its norm, standard deviation, spectral norm."""
    return any(t.parameter == term.parameter for t in rest)


def foreign_axes(view: View) -> tuple[int, ...]:
    """The axes of a value along which the parameter only repeats."""
    return tuple(i for i, axis in enumerate(view.axes) if all(f.axis == FOREIGN for f in axis))
