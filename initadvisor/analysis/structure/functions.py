"""The element-wise function that begins at a value: composed from the operators' numpy forms, then recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import numpy as np

from initadvisor.analysis.activation_shape import recognise
from initadvisor.analysis.structure.draft import Draft
from initadvisor.analysis.structure.wiring import SAME_PLACES
from initadvisor.graph import Activation, Node

MAX_NODES = 64
"""Operators of one element-wise function: the longest spelling of a known activation has about 15."""

_FAMILIES = frozenset({"elementwise", "activation", "compare"})


@dataclass(frozen=True, slots=True)
class Function:
    """An element-wise function of one value: what it computes, the value it ends in, the nodes it is made of."""

    activation: Activation
    output: int
    nodes: frozenset[int]


def functions_from(draft: Draft, value: int) -> tuple[tuple[Function, ...], frozenset[int]]:
    """The element-wise functions between a value and the operators that are not element-wise, and all their nodes.

    Where one result is computed from another that is read further on as well, only the earlier one counts: what
    follows belongs to its own fate.
    """
    nodes = _region(draft, value)
    if not nodes:
        return (), frozenset()
    functions: list[Function] = []
    for output in _exits(draft, nodes):
        needed = _needed(draft, value, output, nodes)
        ids = frozenset(n.id for n in needed)
        if any(draft.wiring.values[f.output].producer in ids for f in functions):
            continue
        named = recognise(_composed(draft, value, output, needed))
        if named.name == "unknown" and named.second_moment is None and len(needed) == 1:
            named = Activation(needed[0].op)
        functions.append(Function(named, output, ids))
    return tuple(functions), frozenset(n.id for n in nodes)


def _region(draft: Draft, value: int) -> list[Node]:
    """The element-wise nodes all of whose inputs are the value, numbers, or computed from these."""
    wiring = draft.wiring
    inside = {value}
    nodes: list[Node] = []
    heap: list[int] = []
    queued: set[int] = set()

    def enqueue(made: int) -> None:
        for reader, _ in wiring.readers[made]:
            if reader not in queued:
                queued.add(reader)
                heappush(heap, reader)

    enqueue(value)
    while heap and len(nodes) < MAX_NODES:
        node = wiring.nodes[heappop(heap)]
        if not _evaluable(draft, node):
            continue
        if all(v in inside or wiring.scalar(v) is not None for v in node.inputs if v is not None):
            nodes.append(node)
            inside.update(node.outputs)
            for output in node.outputs:
                enqueue(output)
    return nodes


def _evaluable(draft: Draft, node: Node) -> bool:
    if node.id in draft.norm_at or node.id in draft.bias_nodes or node.id in draft.at_node:
        return False
    if node.op in SAME_PLACES:
        return True
    operator = draft.wiring.operators[node.id]
    if operator is None or len(node.outputs) != 1:
        return False
    return operator.evaluate is not None and (operator.family in _FAMILIES or node.op == "where")


def _exits(draft: Draft, nodes: list[Node]) -> list[int]:
    """The values of a region that something outside of it reads, earliest first."""
    inside = {n.id for n in nodes}
    exits = []
    for node in nodes:
        for output in node.outputs:
            readers = draft.wiring.readers[output]
            if output in draft.wiring.outputs or any(r not in inside for r, _ in readers):
                exits.append(output)
    return exits


def _needed(draft: Draft, value: int, output: int, nodes: list[Node]) -> list[Node]:
    """The nodes of a region that one of its values depends on, in order."""
    by_id = {n.id: n for n in nodes}
    wanted, stack = set[int](), [output]
    while stack:
        producer = draft.wiring.values[stack.pop()].producer
        if producer is None or producer not in by_id or producer in wanted:
            continue
        wanted.add(producer)
        stack.extend(v for v in by_id[producer].inputs if v is not None and v != value)
    return [n for n in nodes if n.id in wanted]


def _composed(draft: Draft, value: int, output: int, nodes: list[Node]) -> Callable[[np.ndarray], np.ndarray]:
    wiring = draft.wiring
    numbers = {v: wiring.scalar(v) for n in nodes for v in n.inputs if v is not None}

    def function(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return evaluate(x)

    def evaluate(x: np.ndarray) -> np.ndarray:
        known: dict[int, Any] = {value: x}
        for node in nodes:
            inputs = []
            for v in node.inputs:
                if v is None:
                    continue
                inputs.append(known[v] if v in known else np.asarray(numbers[v]))
            if node.op in SAME_PLACES:
                result = inputs[0]
            else:
                operator = wiring.operators[node.id]
                assert operator is not None
                assert operator.evaluate is not None
                try:
                    result = operator.evaluate(*inputs, **_attributes(node))
                except (TypeError, ValueError, KeyError, FloatingPointError):
                    result = np.full_like(x, np.nan)
            for made in node.outputs:
                known[made] = result
        return np.asarray(known[output], dtype=np.float64)

    return function


def _attributes(node: Node) -> dict[str, Any]:
    return {k: v for k, v in node.attrs.items() if v is not None and k not in ("inplace", "dtype", "out")}
