"""Routers of mixture-of-experts layers."""

from __future__ import annotations

from math import sqrt

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import TruncatedNormal
from initadvisor.initializers.registry import distribution_method


@distribution_method("moe_router")
def moe_router(shape: tuple[int, ...], layout: Layout, *, scale: float = 0.1) -> TruncatedNormal:
    """A router whose logits start small, so that every expert gets tokens.

    Formula: truncated normal of std sqrt(scale / fan_in), cut at 2 sigma.
    Use: the router and, with the same scale, the experts of a Switch transformer.
    Caveat: N(0, 1), which some ports draw, gives logits of std sqrt(fan_in): one expert takes nearly all tokens.
    Source: Fedus et al. 2021, "Switch Transformers", arXiv 2101.03961.
    """
    return TruncatedNormal(sqrt(scale / layout.fan_in(shape)))
