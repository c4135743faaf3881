"""Mixtures of experts."""

from __future__ import annotations

from initadvisor.graph import Graph
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import in_blocks, weighted
from initadvisor.initializers.spec import InitSpec


@recipe("moe")
def moe(graph: Graph, scale: float = 0.1) -> Choices:
    """Router and experts as in the Switch transformer.

    Formula: truncated normal of std sqrt(scale / fan_in), scale .1, each expert drawn on its own.
    Use: sparse mixtures of experts.
    Caveat: experts that are copies of each other stay copies under a router that treats them alike.
    Source: Fedus et al. 2021, arXiv 2101.03961.
    """
    spec = InitSpec("moe_router", {"scale": scale})
    chosen: Choices = {}
    for layer in weighted(graph, "router"):
        chosen[layer.weight or ""] = Choice(spec, "a router starts with small logits, so that every expert gets tokens")
    for layer in weighted(graph, "expert"):
        chosen[layer.weight or ""] = Choice(in_blocks(layer, spec), "experts start small, as in the Switch transformer")
    return chosen
