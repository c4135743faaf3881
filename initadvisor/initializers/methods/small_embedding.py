"""Small embeddings, and two small normals for transformers."""

from __future__ import annotations

from math import sqrt

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Normal, Uniform
from initadvisor.initializers.registry import distribution_method


@distribution_method("small_embedding")
def small_embedding(shape: tuple[int, ...], layout: Layout, *, bound: float = 1e-4) -> Uniform:
    """Token embeddings so small that they move away from their start in the first steps.

    Formula: E ~ U(-1e-4, 1e-4), with a LayerNorm right after it.
    Use: language models without position embeddings added to the tokens.
    Caveat: not with positional embeddings, which would drown the tokens; needs the norm.
    Source: RWKV-LM's notes (Peng).
    """
    return Uniform(float(bound))


@distribution_method("small_init")
def small_init(shape: tuple[int, ...], layout: Layout, *, width: int) -> Normal:
    """Small normal for the projections of a transformer.

    Formula: W ~ N(0, 2 / (5 width)).
    Use: all projections but the residual ones of a language model (with `wang_init` for those).
    Caveat: width is the model's, not the layer's fan_in.
    Source: Nguyen and Salazar 2019, arXiv 1910.05895.
    """
    return Normal(sqrt(2.0 / (5.0 * width)))


@distribution_method("wang_init")
def wang_init(shape: tuple[int, ...], layout: Layout, *, width: int, layers: int) -> Normal:
    """Depth-scaled normal for the projections that write to the residual stream.

    Formula: W ~ N(0, (2 / (layers sqrt(width)))^2).
    Use: residual outputs, beside `small_init`.
    Caveat: width is the model's, not the layer's fan_in.
    Source: GPT-J (Wang and Komatsuzaki 2021), as in GPT-NeoX's init_functions.
    """
    return Normal(2.0 / (layers * sqrt(width)))
