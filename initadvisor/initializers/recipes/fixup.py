"""Fixup: deep residual networks without normalization."""

from __future__ import annotations

from math import sqrt

from initadvisor.graph import Graph, Layer
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import branches, weighted, zero_biases
from initadvisor.initializers.spec import InitSpec


@recipe("fixup")
def fixup(graph: Graph) -> Choices:
    """Residual branches that start at zero, with their inner layers scaled down by depth.

    Formula: the head and the last layer of each branch 0; the other layers of a branch of m layers
        kaiming x L^(-1 / (2m - 2)), L the number of branches; biases 0, scalar multipliers 1.
    Use: residual networks without norms.
    Caveat: the gradient of all layers but the last of each branch, and of the trunk behind a zero head, is exactly 0 at
        the first step: by design. Where branches end in a norm or a learned zero scale it is not needed.
    Source: Zhang et al. 2019, arXiv 1901.09321.
    """
    found = branches(graph)
    chosen = zero_biases(graph, "Fixup starts every bias at zero", ("linear",))
    for layer in weighted(graph, "head"):
        chosen[layer.weight or ""] = Choice(InitSpec("zeros"), "Fixup starts the head at zero: the loss is ln C")
    for branch in found:
        ends = [layer for layer in branch.ends if layer.kind == "linear"] or list(branch.layers[-1:])
        inner = [layer for layer in branch.layers if layer not in ends]
        factor = len(found) ** (-1.0 / (2 * len(branch.layers) - 2)) if len(branch.layers) > 1 else 1.0
        for layer in ends:
            reason = "Fixup starts the last layer of a branch at zero, so that the block is the identity"
            chosen[layer.weight or ""] = Choice(InitSpec("zeros"), reason)
        for layer in inner:
            chosen[layer.weight or ""] = _scaled(layer, factor, len(found), len(branch.layers))
        for layer in branch.scales:
            if layer.role not in ("layer_scale", "logit_scale"):
                chosen[layer.weight or ""] = Choice(InitSpec("ones"), "Fixup's scalar multipliers start at one")
    return chosen


def _scaled(layer: Layer, factor: float, count: int, length: int) -> Choice:
    second = layer.activation.second_moment if layer.activation is not None else None
    gain = 1.0 / sqrt(second) if second else sqrt(2.0)
    spec = InitSpec("variance_scaling", {"scale": (gain * factor) ** 2, "mode": "fan_in", "distribution": "normal"})
    reason = f"Fixup scales a branch of {length} layers by {count}^(-1/{2 * length - 2}) = {factor:.3g}"
    return Choice(spec, reason)
