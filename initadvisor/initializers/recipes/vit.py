"""Vision transformers: the three starts that are in use."""

from __future__ import annotations

from initadvisor.errors import UsageError
from initadvisor.graph import Graph
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import in_blocks, of_kind, unit_norms, weighted, zero_biases
from initadvisor.initializers.spec import InitSpec

_TRUNCATED = InitSpec("truncated_normal", {"std": 0.02})


@recipe("vit")
def vit(graph: Graph, mode: str = "timm") -> Choices:
    """A vision transformer as timm, JAX or MoCo v3 start it.

    Formula: timm: truncated normal .02, biases 0. jax: Xavier uniform, patch embedding LeCun, feed-forward biases
        N(0, 1e-6^2). moco: Xavier uniform on q, k and v apart and on the flattened patch embedding. Head 0 in all;
        class token and positions truncated normal .02.
    Use: ViT, DeiT and their kin; norms 1 and 0.
    Caveat: timm's own truncation is at absolute +-2, which at std .02 is none; this one cuts at 2 sigma and corrects.
    Source: Dosovitskiy et al. 2020, arXiv 2010.11929; Chen et al. 2021 (MoCo v3), arXiv 2104.02057; timm.
    """
    if mode not in ("timm", "jax", "moco"):
        raise UsageError(f"there is no ViT start {mode!r}", hint="the modes are timm, jax and moco")
    chosen = {**unit_norms(graph), **zero_biases(graph, "biases start at zero")}
    for layer in weighted(graph):
        spec = _TRUNCATED if mode == "timm" else InitSpec("xavier_uniform")
        reason = "timm draws every projection with std .02" if mode == "timm" else "Xavier, as in the JAX reference"
        if layer.role == "stem":
            spec = {"timm": _TRUNCATED, "jax": InitSpec("lecun_truncated_normal")}.get(mode, InitSpec("xavier_uniform"))
            reason = f"the patch embedding of the {mode} start"
        if layer.role == "head":
            spec, reason = InitSpec("zeros"), "the head starts at zero: the loss is ln C"
        chosen[layer.weight or ""] = Choice(in_blocks(layer, spec), reason)
        if mode == "jax" and layer.role in ("mlp_in", "mlp_out") and layer.bias is not None:
            chosen[layer.bias] = Choice(InitSpec("normal", {"std": 1e-6}), "feed-forward biases of the JAX reference")
    for layer in of_kind(graph, "table"):
        chosen[layer.weight or ""] = Choice(_TRUNCATED, "positions and class token start small")
    return chosen
