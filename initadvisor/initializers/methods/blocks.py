"""Fused weights: q, k, v in one matrix, gates, experts, each part drawn on its own."""

from __future__ import annotations

from typing import Any

from initadvisor.initializers.registry import blocks_method


@blocks_method("blocks")
def blocks(*, axis: int, blocks: list[dict[str, Any]]) -> None:
    """Parts of a stored tensor that are each drawn by a method of their own, with the fans of the part.

    Formula: W[start:stop] along `axis` ~ its own spec, for {"name", "start", "stop", "spec"} in order without gaps.
    Use: packed attention projections, stacked gates of recurrent layers, fused gate and up projections.
    Caveat: each part has its own random stream, so that a fused and a split model draw different numbers.
    Source: the fans of the parts are what the papers of the parts' methods mean.
    """
