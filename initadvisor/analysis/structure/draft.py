"""The layers as they are being read: each with the places in the graph where it acts."""

from __future__ import annotations

from dataclasses import dataclass, field

from initadvisor.analysis.structure.weights import WeightPaths
from initadvisor.analysis.structure.wiring import Wiring
from initadvisor.graph import Graph, Layer, Node


@dataclass(slots=True, eq=False)
class Site:
    """One application of a layer: the node, the signal that goes in and the value that comes out.

    `output` moves on as the bias, the affine part of a norm and the like are found behind the node; it is None for
    a projection inside a fused attention operator. `region` is (start, stop) of the output channels that this
    application makes, where a part of the weight is used.
    """

    layer: Layer
    node: int
    input: int | None
    output: int | None
    region: tuple[int, int] | None = None


@dataclass(slots=True, eq=False)
class Norm:
    """One normalization of a signal: `nodes` lead from `input` to `output`, scale and shift by parameters included."""

    op: str
    input: int
    output: int
    nodes: set[int]
    layer: Layer | None = None


@dataclass(slots=True, eq=False)
class Draft:
    """Layers, their sites, and what has been said about the values between them.

    at_node: the sites of each node that applies a layer. owner: parameter -> the layer that holds it. keyed: the
    layers by what makes two uses of one parameter the same layer. norm_at: node -> the norm it is a part of.
    bias_nodes: adds that are the bias of the layer before them.
    """

    graph: Graph
    wiring: Wiring
    paths: WeightPaths
    sites: list[Site] = field(default_factory=list)
    at_node: dict[int, list[Site]] = field(default_factory=dict)
    of_layer: dict[int, list[Site]] = field(default_factory=dict)
    owner: dict[str, Layer] = field(default_factory=dict)
    keyed: dict[tuple[object, ...], Layer] = field(default_factory=dict)
    norms: list[Norm] = field(default_factory=list)
    norm_at: dict[int, Norm] = field(default_factory=dict)
    bias_nodes: dict[int, Layer] = field(default_factory=dict)

    def add(self, layer: Layer, site: Site | None) -> None:
        """Enter a layer, or a further site of one that is already there."""
        if id(layer) not in self.of_layer:
            self.of_layer[id(layer)] = []
            self.graph.layers.append(layer)
            for parameter in (layer.weight, layer.bias):
                if parameter is not None:
                    self.owner.setdefault(parameter, layer)
        if site is not None:
            self.of_layer[id(layer)].append(site)
            self.sites.append(site)
            self.at_node.setdefault(site.node, []).append(site)

    def add_norm(self, norm: Norm) -> None:
        """Enter a normalization; its nodes count as one from here on."""
        self.norms.append(norm)
        for node in norm.nodes:
            self.norm_at[node] = norm

    def sites_of(self, layer: Layer) -> list[Site]:
        """Every application of a layer, in execution order."""
        return self.of_layer.get(id(layer), [])

    def layers_at(self, node: Node) -> list[Layer]:
        """The layers that a node applies."""
        return [site.layer for site in self.at_node.get(node.id, [])]
