"""adaLN-zero: diffusion transformers whose blocks start as the identity."""

from __future__ import annotations

from initadvisor.graph import Graph
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import in_blocks, matches, weighted, zero_biases
from initadvisor.initializers.spec import InitSpec


@recipe("adaln_zero")
def adaln_zero(graph: Graph, modulation: str = "") -> Choices:
    """Modulation and final layer at zero, the rest Xavier.

    Formula: the layers that compute shift, scale and gate from the condition 0, the final layer 0, others Xavier
        uniform, biases 0.
    Use: DiT and its kin. `modulation` is a glob of the modulation layers' names; without it, their roles are used.
    Caveat: the blocks' other weights get no gradient at the first step: by design.
    Source: Peebles and Xie 2022, arXiv 2212.09748.
    """
    chosen = zero_biases(graph, "biases start at zero", ("linear",))
    for layer in weighted(graph):
        modulates = matches(layer.name, modulation) if modulation else layer.role == "modulation"
        if modulates or layer.role == "head":
            reason = "zero modulation makes the block the identity" if modulates else "the final layer starts at zero"
            chosen[layer.weight or ""] = Choice(InitSpec("zeros"), reason)
        else:
            chosen[layer.weight or ""] = Choice(in_blocks(layer, InitSpec("xavier_uniform")), "Xavier, as in DiT")
    return chosen
