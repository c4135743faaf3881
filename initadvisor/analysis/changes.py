"""A described graph with another activation, or with norms where it has none: to predict what that would bring.

The changed graph shares parameters with the one that it came from and is described anew; nothing of the original is
touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from initadvisor.analysis import structure
from initadvisor.graph import Coverage, Graph, Node, Value
from initadvisor.ops.activations import ACTIVATIONS

_GATING = frozenset({"mul", "reversed_mul", "div"})
_ARITHMETIC = frozenset({"linear", "abs", "square", "exp", "sign", "sin", "cos"})
"""What stands in formulas (a distance, a density, a code of positions): another function would be another model."""

MAP_AXES = 4
"""Axes from which a value counts as maps of channels rather than features or tokens."""

_EPS = 1e-5


@dataclass(frozen=True, slots=True)
class Place:
    """An activation between two layers: its node, the value that it reads, the name of the function."""

    node: int
    value: int
    name: str


def activations(graph: Graph) -> tuple[Place, ...]:
    """Activations written as one operator, in order; gates and what makes the output of the model are left out."""
    return tuple(_places(graph))


def _places(graph: Graph) -> Iterator[Place]:
    readers = graph.consumers()
    behind = _reaches_weights(graph, readers)
    for node in graph.nodes:
        value = node.inputs[0] if node.inputs else None
        if node.op not in ACTIVATIONS or node.op in _ARITHMETIC or value is None or len(node.outputs) != 1:
            continue
        output = node.outputs[0]
        gates = any(graph.nodes[reader].op in _GATING for reader, _ in readers[output])
        if graph.values[value].kind == "result" and not gates and behind[output]:
            yield Place(node.id, value, node.op)


def _reaches_weights(graph: Graph, readers: Sequence[Sequence[tuple[int, int]]]) -> list[bool]:
    """For every value, whether a layer with a weight matrix reads something made from it."""
    weighted = {layer.node for layer in graph.layers if layer.kind in ("linear", "recurrent")}
    found = [False] * len(graph.values)
    for node in reversed(graph.nodes):
        if node.id in weighted or any(found[output] for output in node.outputs):
            for value in node.inputs:
                if value is not None:
                    found[value] = True
    return found


def with_activation(graph: Graph, places: Sequence[Place], name: str) -> Graph:
    """The graph with one function at all of these places; `name` is canonical, at its default parameters."""
    changed = {place.node for place in places}

    def exchanged(node: Node) -> Node:
        return replace(node, op=name, inputs=node.inputs[:1], attrs={}, native=name)

    return _described(graph, [exchanged(node) if node.id in changed else node for node in graph.nodes], graph.values)


def with_norms(graph: Graph, places: Sequence[Place], *, batch: bool) -> Graph:
    """The graph with a norm in front of each of these activations, scale 1 and shift 0.

    batch: a batch norm each; else what takes its statistics from each sample: a layer norm over features, a group norm
    of one group over maps.
    """
    before = {place.node: place.value for place in places}
    values = list(graph.values)
    nodes: list[Node] = []
    renumbered: dict[int, int] = {}
    for node in graph.nodes:
        if node.id in before:
            source = values[before[node.id]]
            made = Value(len(values), f"{source.name}.norm", source.shape, source.dtype, "result", len(nodes))
            values.append(made)
            nodes.append(_norm(len(nodes), source, made.id, batch))
            node = replace(node, inputs=(made.id, *node.inputs[1:]))
        renumbered[node.id] = len(nodes)
        nodes.append(replace(node, id=len(nodes)))
    old = len(graph.values)
    moved = [
        replace(v, producer=renumbered[v.producer]) if v.id < old and v.producer is not None else v for v in values
    ]
    return _described(graph, nodes, moved)


def _norm(number: int, source: Value, output: int, batch: bool) -> Node:
    shape = source.shape or ()
    op, attrs = "layer_norm", {"normalized_shape": shape[-1:], "eps": _EPS}
    if batch:
        op, attrs = "batch_norm", {"training": True, "eps": _EPS}
    elif len(shape) >= MAP_AXES:
        op, attrs = "group_norm", {"num_groups": 1, "eps": _EPS}
    return Node(number, op, (source.id,), (output,), attrs, native=op)


def _described(graph: Graph, nodes: list[Node], values: list[Value]) -> Graph:
    changed = replace(
        graph,
        nodes=nodes,
        values=values,
        layers=[],
        coverage=Coverage(graph.coverage.capture),
        events=[],
        summary={},
        markers=[],
    )
    return structure.describe(changed)
