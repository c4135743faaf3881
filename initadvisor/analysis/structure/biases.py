"""Parameters added behind a layer without a bias of its own: MatMul + Add is one linear layer."""

from __future__ import annotations

from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.weights import Term
from initadvisor.graph import Node

ADDS = frozenset({"add", "reversed_add"})


def read_biases(draft: Draft) -> None:
    """Give each layer the parameter that is added to its output along the channels, and move its output there."""
    for node in draft.wiring.nodes:
        if node.op not in ADDS or node.id in draft.norm_at or len(node.inputs) < 2:
            continue
        signals = draft.wiring.signals(node)
        if len(signals) != 1:
            continue
        others = [v for v in node.inputs if v is not None and v != signals[0]]
        term = draft.paths.weight(others[0]) if len(others) == 1 else None
        if term is None or draft.graph.parameters[term.parameter].buffer:
            continue
        site = _layer_behind(draft, signals[0], draft.graph.parameters[term.parameter].shape)
        if site is not None and _fits(draft, site, term, others[0]):
            _attach(draft, node, site, term)


def _layer_behind(draft: Draft, value: int, shape: tuple[int, ...]) -> Site | None:
    """The site whose output a value is, behind casts, and for a plain vector behind any rearrangement."""
    wiring = draft.wiring
    vector = sum(d > 1 for d in shape) <= 1
    for _ in range(8):
        node = wiring.producer(value)
        if node is None:
            return None
        sites = [s for s in draft.at_node.get(node.id, []) if s.output == value]
        if sites:
            return sites[-1]
        direct = node.op in ("cast", "identity")
        if not (direct or (vector and wiring.transparent(node))) or node.inputs[0] is None:
            return None
        value = node.inputs[0]
    return None


def _fits(draft: Draft, site: Site, term: Term, value: int) -> bool:
    """Whether a parameter has one number for each output channel of a layer that still lacks a bias."""
    layer = site.layer
    if layer.kind != "linear" or layer.layout is None or layer.weight is None:
        return False
    if layer.bias is not None and layer.bias != term.parameter:
        return False
    channels = layer.layout.channels_out(draft.graph.parameters[layer.weight].shape)
    if site.region is not None:
        channels = site.region[1] - site.region[0]
    size = draft.wiring.values[value].size
    return size is not None and size == channels


def _attach(draft: Draft, node: Node, site: Site, term: Term) -> None:
    site.layer.bias = term.parameter
    draft.owner.setdefault(term.parameter, site.layer)
    draft.bias_nodes[node.id] = site.layer
    site.output = node.outputs[0]
