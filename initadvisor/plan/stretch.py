"""How long the stretch of plain layers is that each layer stands in, and where in it."""

from __future__ import annotations

from collections.abc import Mapping

from initadvisor.graph import Graph


def stretches(graph: Graph) -> Mapping[str, tuple[int, int]]:
    """For each linear layer: its place in its stretch of layers without norm, skip or attention, and the length.

    The head counts in, as the end. The cost is linear in the graph.
    """
    return _places(graph, "stretch_previous")


def runs(graph: Graph) -> Mapping[str, tuple[int, int]]:
    """The same for layers without a skip between: norms may stand in such a run."""
    return _places(graph, "previous")


def _places(graph: Graph, links: str) -> Mapping[str, tuple[int, int]]:
    linear = {layer.name: layer for layer in graph.layers if layer.kind == "linear"}
    before = {name: [p for p in layer.attrs.get(links, ()) if p in linear] for name, layer in linear.items()}
    place: dict[str, int] = {}
    for name in linear:
        place[name] = 1 + max((place.get(p, 0) for p in before[name]), default=0)
    length = dict(place)
    for name in reversed(list(linear)):
        for p in before[name]:
            length[p] = max(length[p], length[name])
    return {name: (place[name], length[name]) for name in linear}
