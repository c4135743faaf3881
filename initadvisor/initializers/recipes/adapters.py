"""LoRA: adapters that start as no change."""

from __future__ import annotations

from initadvisor.graph import Graph
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import weighted
from initadvisor.initializers.spec import InitSpec


@recipe("lora")
def lora(graph: Graph) -> Choices:
    """A drawn first factor and a zero second one; the base model is left alone.

    Formula: A ~ U(+-1 / sqrt(fan_in)), B = 0.
    Use: LoRA adapters.
    Caveat: see `lora_a`.
    Source: Hu et al. 2021, arXiv 2106.09685.
    """
    chosen: Choices = {}
    for layer in weighted(graph, "lora_a"):
        chosen[layer.weight or ""] = Choice(
            InitSpec("lora_a"), "LoRA's first factor is drawn, so that the second learns"
        )
    for layer in weighted(graph, "lora_b"):
        chosen[layer.weight or ""] = Choice(InitSpec("lora_b"), "a zero second factor leaves the base model as it is")
    return chosen
