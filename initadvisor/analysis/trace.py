"""The way of the signal to one layer and of the gradient back to it, operator by operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from initadvisor.analysis.forecast import Forecast
from initadvisor.graph import Graph, Layer, Node
from initadvisor.ops.moments import Gradient, Signal

_FAR = 1 << 60


@dataclass(frozen=True, slots=True)
class Step:
    """One operator on the way: second moments of what enters and what leaves it in the direction of travel.

    where: the layer, or the module. joins: (where it comes from, its second moment) of what else flows in.
    """

    operator: str
    where: str
    q_in: float | None
    q_out: float | None
    joins: tuple[tuple[str, float | None], ...] = ()

    @property
    def factor(self) -> float | None:
        """What the operator does to the second moment, None where that is unknown."""
        return self.q_out / self.q_in if self.q_in and self.q_out is not None else None


@dataclass(frozen=True, slots=True)
class Trace:
    """forward: from an input of the model to the layer's output. backward: from an output of the model to its input.

    Both follow the shortest way, which is that of the skip connections; what joins it is named.
    """

    layer: str
    forward: tuple[Step, ...]
    backward: tuple[Step, ...]


def trace(graph: Graph, layer: Layer, forecast: Forecast) -> Trace | None:
    """The way to and from a layer; None where nothing is predicted or the layer has no place in the graph."""
    if forecast.prediction is None or layer.node is None:
        return None
    run = forecast.prediction.propagation
    ways = _Ways(graph)
    node = graph.nodes[layer.node]
    ahead = [_step(ways, one, value, out, run.forward, joins=True) for one, value, out in ways.upstream(node)]
    behind = [_step(ways, one, out, value, run.backward, joins=False) for one, value, out in ways.downstream(node)]
    return Trace(layer.name, tuple(reversed(ahead)), tuple(reversed(behind)))


class _Ways:
    """Distances of every value from the inputs and to the outputs, along values that carry the signal."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.names = {layer.node: layer.name for layer in graph.layers if layer.node is not None}
        self.consumers = graph.consumers()
        self.start = [_FAR] * len(graph.values)
        for value in graph.inputs:
            self.start[value] = 0
        for node in graph.nodes:
            nearest = min((self.start[v] for v in node.inputs if v is not None), default=_FAR)
            for out in node.outputs:
                if nearest < _FAR and (graph.values[out].dtype or "float").startswith(("float", "bfloat")):
                    self.start[out] = nearest + 1
        self.end = [_FAR] * len(graph.values)
        for value in graph.outputs:
            self.end[value] = 0
        for node in reversed(graph.nodes):
            nearest = min((self.end[v] for v in node.outputs), default=_FAR)
            for source in node.inputs:
                if source is not None and nearest < _FAR:
                    self.end[source] = min(self.end[source], nearest + 1)

    def live(self, node: Node) -> list[int]:
        """The inputs of a node that depend on an input of the model."""
        return [v for v in node.inputs if v is not None and self.start[v] < _FAR]

    def where(self, node: Node) -> str:
        """The layer at a node, or its module."""
        return self.names.get(node.id, node.scope)

    def upstream(self, node: Node) -> Iterator[tuple[Node, int | None, int | None]]:
        """(node, value in, value out) from a node back to an input."""
        out = node.outputs[0] if node.outputs else None
        while True:
            value = min(self.live(node), key=lambda v: self.start[v], default=None)
            yield node, value, out
            producer = self.graph.values[value].producer if value is not None else None
            if producer is None:
                return
            node, out = self.graph.nodes[producer], value

    def downstream(self, node: Node) -> Iterator[tuple[Node, int | None, int | None]]:
        """(node, value in, value out) from a node on to an output."""
        value = min(self.live(node), key=lambda v: self.start[v], default=None)
        while True:
            out = min(node.outputs, key=lambda v: self.end[v], default=None)
            yield node, value, out
            if out is None or not 0 < self.end[out] < _FAR:
                return
            readers = [self.graph.nodes[reader] for reader, _ in self.consumers[out]]
            node = min(readers, key=lambda n: min((self.end[v] for v in n.outputs), default=_FAR))
            value = out


def _step(
    ways: _Ways,
    node: Node,
    came: int | None,
    went: int | None,
    table: list[Signal | None] | list[Gradient | None],
    *,
    joins: bool,
) -> Step:
    others = [v for v in ways.live(node) if v != came] if joins else []
    producers = [(ways.graph.values[v].producer, v) for v in others]
    named = tuple(
        ("an input" if p is None else ways.where(ways.graph.nodes[p]), _moment(table, v)) for p, v in producers
    )
    operator = node.op if node.op != "opaque" else node.native
    return Step(operator, ways.where(node), _moment(table, came), _moment(table, went), named)


def _moment(table: list[Signal | None] | list[Gradient | None], value: int | None) -> float | None:
    held = table[value] if value is not None else None
    return None if held is None else held.q
