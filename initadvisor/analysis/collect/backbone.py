"""What of a model is at a random draw although what comes behind it has been trained."""

from __future__ import annotations

from initadvisor.analysis.collect.bonds import Bonds
from initadvisor.analysis.facts.backbone import BackboneFacts
from initadvisor.graph import Layer

LEAST_ELEMENTS = 1000
"""Elements from which the fingerprint of one tensor is reliable."""

_KINDS = frozenset({"linear", "embedding", "recurrent"})
_BESIDE = frozenset({"head", "lora_a", "lora_b"})
_DELIBERATE = frozenset({"constant", "identity", "unknown"})


def backbone_facts(bonds: Bonds) -> BackboneFacts:
    """The facts of the weights that pretrained ones are for."""
    layers = backbone(bonds)
    drawn = [layer for layer in layers if not _trained(bonds, layer)]
    size = sum(bonds.graph.parameters[layer.weight or ""].size for layer in layers)
    fresh_size = sum(bonds.graph.parameters[layer.weight or ""].size for layer in drawn)
    missed = gaps(bonds)
    return BackboneFacts(
        weights=len(layers),
        fresh=len(drawn) / len(layers) if layers else 0.0,
        trained_share=1 - fresh_size / size if size else 0.0,
        gaps=len(missed),
        gap_share=len(missed) / len(layers) if layers else 0.0,
        first_gap=missed[0].name if missed else "",
    )


def gaps(bonds: Bonds) -> list[Layer]:
    """The layers at a random draw that lie in front of a trained one, both in depth and in the model's order.

    What a task adds to a backbone (a neck, a decoder, a head) lies behind it in one of the two.
    """
    layers = backbone(bonds)
    last = max((i for i, layer in enumerate(layers) if _trained(bonds, layer)), default=-1)
    deepest = max((layer.depth or 0 for layer in layers if _trained(bonds, layer)), default=0)
    return [
        layer
        for layer in layers[: last + 1]
        if not _trained(bonds, layer) and (not bonds.graph.edges or (layer.depth or 0) < deepest)
    ]


def backbone(bonds: Bonds) -> list[Layer]:
    """The layers with a weight of some size of which the fingerprint says something, without heads and adapters.

    The roles of a state dict are not known: its last matrix counts as the head.
    """
    order = {name: i for i, name in enumerate(bonds.graph.parameters)}
    found = [layer for layer in bonds.graph.layers if _counts(bonds, layer)]
    found.sort(key=lambda layer: order.get(layer.weight or "", 0))
    matrices = [layer for layer in bonds.graph.layers if layer.kind in _KINDS and layer.weight is not None]
    last = max(matrices, key=lambda layer: order.get(layer.weight or "", 0), default=None)
    return [layer for layer in found if bonds.graph.edges or layer is not last]


def _counts(bonds: Bonds, layer: Layer) -> bool:
    facts = bonds.weight(layer)
    if layer.kind not in _KINDS or layer.role in _BESIDE or facts is None or (facts.count or 0) < LEAST_ELEMENTS:
        return False
    return facts.draw is not None and facts.draw.trained is not None and facts.draw.family not in _DELIBERATE


def _trained(bonds: Bonds, layer: Layer) -> bool:
    facts = bonds.weight(layer)
    if facts is None or facts.draw is None or not facts.draw.trained:
        return False
    # An orthogonal draw from whose rows the mean was taken (sigmoid stacks) is nearly orthogonal, and fresh.
    return facts.draw.departure != "orthogonality"


def averaged(bonds: Bonds) -> int:
    """How many models the weights are an average of, by the counter that `torch.optim.swa_utils` keeps; 0 for none."""
    counted = (facts.max for name, facts in bonds.tensors.items() if _last(name) == "n_averaged" and facts.count == 1)
    return int(max((value for value in counted if value is not None), default=0))


def batch_norms(bonds: Bonds) -> int:
    """How many norms keep running statistics."""
    return sum(_last(name) == "running_var" for name in bonds.graph.parameters)


def _last(name: str) -> str:
    return name.rpartition(".")[2]
