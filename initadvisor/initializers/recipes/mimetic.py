"""Mimetic attention over a whole model."""

from __future__ import annotations

from initadvisor.graph import Graph, Layer
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import branches, in_blocks
from initadvisor.initializers.spec import InitSpec


@recipe("mimetic")
def mimetic(graph: Graph, heads: int) -> Choices:
    """Attention whose value path starts as a noisy negative identity and whose queries look at their own token.

    Formula: W_out W_value = .4 Z - .4 I; W_q^T W_k = .7 Z + .7 I a head.
    Use: small vision transformers trained from scratch; `heads` is the number of heads.
    Caveat: only for square projections: others are left alone. The query-key constants are from memory of the paper.
    Source: Trockman and Kolter 2023, arXiv 2305.09828.
    """
    chosen: Choices = {}
    for branch in branches(graph):
        output = next((layer for layer in branch.ends if layer.role == "attention_out"), None)
        if output is None:
            continue
        value = InitSpec("mimetic_value_output", {"part": "value", "stream": f"{output.name} value"})
        parts = {
            "v": value,
            **{
                letter: InitSpec("mimetic_query_key", {"part": part, "stream": f"{output.name} query", "heads": heads})
                for letter, part in (("q", "query"), ("k", "key"))
            },
        }
        reason = "attention starts with the structure that trained transformers show"
        for layer in branch.layers:
            if layer.role in parts and _square(graph, layer):
                chosen[layer.weight or ""] = Choice(parts[layer.role], reason)
            elif layer.role == "qkv" and {b.name for b in layer.blocks} == {"q", "k", "v"} and _square(graph, layer, 3):
                chosen[layer.weight or ""] = Choice(in_blocks(layer, value, parts), reason)
        if _square(graph, output):
            spec = InitSpec("mimetic_value_output", {"part": "output", "stream": f"{output.name} value"})
            chosen[output.weight or ""] = Choice(spec, reason)
    return chosen


def _square(graph: Graph, layer: Layer, parts: int = 1) -> bool:
    parameter = graph.parameters.get(layer.weight or "")
    standard = layer.layout is not None and layer.layout.out_axes == (0,)
    shape = parameter.shape if parameter is not None else ()
    return standard and len(shape) == 2 and shape[0] == parts * shape[1]
