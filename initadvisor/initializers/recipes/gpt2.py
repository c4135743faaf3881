"""GPT-2's start of a decoder-only transformer."""

from __future__ import annotations

from initadvisor.graph import Graph
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import of_kind, unit_norms, weighted, zero_biases
from initadvisor.initializers.recipes.residual_scales import residual_depth
from initadvisor.initializers.spec import InitSpec


@recipe("gpt2")
def gpt2(graph: Graph, std: float = 0.02) -> Choices:
    """One small normal for all, smaller where a layer writes to the residual stream.

    Formula: W ~ N(0, std^2), std .02; residual outputs std / sqrt(2 N) for N blocks of two branches; biases 0.
    Use: pre-norm language models of widths around 768 to 1600.
    Caveat: std .02 is a gain of .55 at width 768 and 1.28 at 4096: scale it as 1 / sqrt(width) for others.
    Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"; nanoGPT.
    """
    drawn = InitSpec("normal", {"std": std})
    chosen = {**unit_norms(graph), **zero_biases(graph, "GPT-2 starts biases at zero")}
    for layer in (*weighted(graph), *of_kind(graph, "embedding"), *of_kind(graph, "table")):
        chosen[layer.weight or ""] = Choice(drawn, f"GPT-2 draws all weights with std {std:g}")
    return {**chosen, **residual_depth(graph, std=std)}
