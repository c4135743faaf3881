"""T-Fixup, DT-Fixup, DeepNorm, Sub-LN: transformers of hundreds of layers."""

from __future__ import annotations

from math import log, sqrt

from initadvisor.graph import Graph, Layer
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import (
    VALUE_SIDE,
    branches,
    in_blocks,
    matches,
    of_kind,
    unit_norms,
    weighted,
    width,
    zero_biases,
)
from initadvisor.initializers.spec import InitSpec

_ATTENTION = ("q", "k", "v", "qk", "kv", "qv", "qkv", "attention_out")
_ROLES = (*_ATTENTION, "mlp_in", "mlp_out", "gate", "gate_up", "expert")


@recipe("t_fixup")
def t_fixup(graph: Graph, decoder: str = "") -> Choices:
    """A transformer that trains without layer norm and without warm-up.

    Formula: Xavier; in an encoder of N blocks value, output and feed-forward x .67 N^(-1/4); in a decoder of N blocks
        the same, and the embeddings, x (9 N)^(-1/4), the embeddings from N(0, 1 / width).
    Use: encoder-decoder transformers with their norms taken out; `decoder` is a glob of the decoder's layers, the rest
        counts as encoder.
    Caveat: with the norms left in it only makes the branches small.
    Source: Huang et al. 2020, "Improving Transformer Optimization Through Better Initialization", ICML.
    """
    chosen: Choices = zero_biases(graph, "T-Fixup starts biases at zero")
    blocks = {True: 0, False: 0}
    for layer in weighted(graph, "attention_out"):
        blocks[_inside(layer, decoder)] += 1
    # A decoder block with cross-attention has two attentions.
    cross = any(True for layer in weighted(graph, "attention_out") if not _inside(layer, decoder)) and bool(decoder)
    depth = {True: max(blocks[True] // (2 if cross else 1), 1), False: max(blocks[False], 1)}
    for layer in weighted(graph, *_ROLES):
        here = _inside(layer, decoder)
        factor = (9.0 * depth[True]) ** -0.25 if here else 0.67 * depth[False] ** -0.25
        chosen[layer.weight or ""] = Choice(_valued(layer, factor), _why("T-Fixup", factor, depth[here]))
    for layer in of_kind(graph, "embedding"):
        count = depth[True] if decoder else depth[False]
        std = (9.0 * count) ** -0.25 / sqrt(max(width(graph), 1))
        chosen[layer.weight or ""] = Choice(
            InitSpec("normal", {"std": std}), "T-Fixup scales embeddings by (9N)^(-1/4)"
        )
    return chosen


@recipe("dt_fixup")
def dt_fixup(graph: Graph, mu: float, encoder: bool = True) -> Choices:
    """New transformer layers on top of a pretrained encoder, scaled by how large its outputs are.

    Formula: Xavier; value, output and feed-forward / sqrt(N (4 mu^2 + 2 mu + 2)), mu the largest norm of an input.
    Use: small data sets, with the norms and the warm-up taken out.
    Caveat: mu has to be measured on the data; with relation-aware attention the constant differs.
    Source: Xu et al. 2020, arXiv 2012.15355.
    """
    count = max(sum(1 for _ in weighted(graph, "attention_out")), 1)
    factor = (count * (4.0 * mu * mu + 2.0 * mu + 2.0)) ** -0.5
    chosen: Choices = zero_biases(graph, "DT-Fixup starts biases at zero")
    for layer in weighted(graph, *_ROLES):
        chosen[layer.weight or ""] = Choice(_valued(layer, factor), _why("DT-Fixup", factor, count))
    return chosen


def deep_norm_constants(encoder: int, decoder: int) -> dict[str, tuple[float, float]]:
    """(alpha, beta) of "encoder" and "decoder" for that many blocks of each; 0 for a part that is not there."""
    if not encoder or not decoder:
        count = max(encoder, decoder, 1)
        only = ((2.0 * count) ** 0.25, (8.0 * count) ** -0.25)
        return {"encoder" if encoder else "decoder": only}
    product = encoder**4 * decoder
    return {
        "encoder": (0.81 * product**0.0625, 0.87 * product**-0.0625),
        "decoder": ((3.0 * decoder) ** 0.25, (12.0 * decoder) ** -0.25),
    }


@recipe("deep_norm")
def deep_norm(graph: Graph, decoder: str = "") -> Choices:
    """Post-norm transformers of up to a thousand layers.

    Formula: LN(alpha x + f(x)); Xavier with gain beta on value, output and feed-forward, 1 on query and key. One stack
        of N blocks: alpha (2N)^(1/4), beta (8N)^(-1/4).
    Use: post-norm transformers whose residual additions scale x by alpha; `decoder` as in t_fixup.
    Caveat: this sets beta only; alpha is part of the architecture (2.2134 for 12 blocks).
    Source: Wang et al. 2022, arXiv 2203.00555.
    """
    attention = [_inside(layer, decoder) for layer in weighted(graph, "attention_out")]
    inside, outside = sum(attention), len(attention) - sum(attention)
    constants = deep_norm_constants(outside, inside // (2 if outside and inside else 1))
    chosen = {**unit_norms(graph), **zero_biases(graph, "DeepNorm starts biases at zero")}
    for layer in weighted(graph, *_ROLES):
        side = "decoder" if _inside(layer, decoder) else "encoder"
        alpha, beta = constants.get(side) or next(iter(constants.values()))
        reason = (
            f"DeepNorm draws value, output and feed-forward with gain {beta:.4g} (and scales the skip by {alpha:.4g})"
        )
        chosen[layer.weight or ""] = Choice(_valued(layer, beta), reason)
    return chosen


@recipe("sub_ln")
def sub_ln(graph: Graph) -> Choices:
    """Transformers with a second norm inside each branch.

    Formula: Xavier with gain sqrt(ln 2N) on value, output and feed-forward of N blocks, 1 on query and key.
    Use: Magneto and RetNet.
    Caveat: needs the norm before each output projection.
    Source: Wang et al. 2022, arXiv 2210.06423.
    """
    gain = sqrt(log(max(len(branches(graph)), 2)))
    chosen = {**unit_norms(graph), **zero_biases(graph, "Sub-LN starts biases at zero")}
    for layer in weighted(graph, *_ROLES):
        chosen[layer.weight or ""] = Choice(_valued(layer, gain), f"Sub-LN draws the value side with gain {gain:.4g}")
    return chosen


def _inside(layer: Layer, pattern: str) -> bool:
    return bool(pattern) and matches(layer.name, pattern)


def _valued(layer: Layer, gain: float) -> InitSpec:
    """Xavier, with a gain on the value side only; of a fused projection on the v part."""
    scaled, plain = InitSpec("xavier_uniform", {"gain": gain}), InitSpec("xavier_uniform")
    if layer.role in VALUE_SIDE:
        return in_blocks(layer, scaled)
    return in_blocks(layer, plain, {"v": scaled})


def _why(name: str, factor: float, count: int) -> str:
    return f"{name} scales value, output and feed-forward of {count} blocks by {factor:.4g}"
