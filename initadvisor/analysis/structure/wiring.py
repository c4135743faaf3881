"""Who makes and who reads each value, and which values are weights rather than signal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from initadvisor.graph import Graph, Node, Shape, Value
from initadvisor.ops import OPERATORS, Operator

_BEARS_SIGNAL = frozenset({"embedding", "recurrent", "attention"})
"""Families whose result is a signal even where all inputs are known: learned queries, position embeddings."""

_WEIGHT_ARITHMETIC = frozenset(
    {"matmul", "reversed_matmul", "einsum", "addmm", "outer", "dot", "tensordot", "chain_matmul"}
)
"""Products that may be part of a weight (low-rank factors) where all operands are known."""

SAME_PLACES = frozenset({"identity", "cast", "dropout", "alpha_dropout", "dequantize", "quantize", "fake_quantize"})
"""Operators whose result holds the same numbers at the same places."""


class Wiring:
    """An index over a graph, built in one pass.

    `static[v]` is True where value v depends on nothing but parameters and constants: a weight, a table, a shape.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values = graph.values
        self.nodes = graph.nodes
        self.readers = graph.consumers()
        self.operators: list[Operator | None] = [OPERATORS.get(node.op) for node in graph.nodes]
        self.outputs = frozenset(graph.outputs)
        self.static = self._find_static()

    def _find_static(self) -> list[bool]:
        static = [value.kind in ("parameter", "constant") for value in self.values]
        for node, operator in zip(self.nodes, self.operators, strict=True):
            if operator is None or operator.family in _BEARS_SIGNAL:
                continue
            if operator.family == "random" and not operator.transparent:
                continue
            if operator.family == "weighted" and node.op not in _WEIGHT_ARITHMETIC:
                continue
            if all(v is None or static[v] for v in node.inputs):
                for output in node.outputs:
                    static[output] = True
        return static

    def producer(self, value: int) -> Node | None:
        """The node that makes a value, None for inputs, parameters and constants."""
        made_by = self.values[value].producer
        return None if made_by is None else self.nodes[made_by]

    def family(self, node: Node) -> str:
        """The operator family of a node, "opaque" where it has no entry."""
        operator = self.operators[node.id]
        return "opaque" if operator is None else operator.family

    def transparent(self, node: Node) -> bool:
        """Whether a node only rearranges or casts."""
        operator = self.operators[node.id]
        return operator is not None and operator.transparent

    def slots(self, node: Node) -> Iterator[tuple[str, int | None]]:
        """(slot name, value) for every input; a trailing "name..." slot names all the rest."""
        operator = self.operators[node.id]
        names = operator.slots if operator is not None else ()
        for i, value in enumerate(node.inputs):
            yield (names[min(i, len(names) - 1)] if names else ""), value

    def slot(self, node: Node, name: str) -> int | None:
        """The value in a slot, None where it is absent."""
        operator = self.operators[node.id]
        if operator is None or name not in operator.slots:
            return None
        place = operator.slots.index(name)
        return node.inputs[place] if place < len(node.inputs) else None

    def signals(self, node: Node) -> list[int]:
        """The inputs of a node that carry signal, in order."""
        return [v for v in node.inputs if v is not None and not self.static[v]]

    def shape(self, value: int) -> Shape | None:
        """The shape of a value."""
        return self.values[value].shape

    def scalar(self, value: int | None) -> float | None:
        """The number that a value holds, None where it is no known constant of one repeated number."""
        if value is None:
            return None
        constant = self.values[value].constant
        if constant is None or constant.size == 0 or constant.size > 65536:
            return None
        if constant.size > 1 and not (constant == constant.flat[0]).all():
            return None
        first = constant.flat[0]
        return float(first) if np.isrealobj(first) else None

    def is_real(self, value: Value) -> bool:
        """Whether a value holds floats, as far as is known."""
        return value.dtype is None or value.dtype.startswith(("float", "bfloat", "complex"))
