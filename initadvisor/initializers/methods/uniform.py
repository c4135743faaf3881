"""A uniform of a given bound."""

from __future__ import annotations

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Uniform
from initadvisor.initializers.registry import distribution_method


@distribution_method("uniform")
def uniform(shape: tuple[int, ...], layout: Layout, *, bound: float, mean: float = 0.0) -> Uniform:
    """Independent uniform elements between two bounds that know nothing of the fan.

    Formula: W ~ U(mean - bound, mean + bound), std bound / sqrt(3).
    Use: architectures whose paper gives the number; recurrent layers as torch draws them, bound 1 / sqrt(hidden).
    Caveat: as `normal`.
    Source: folklore.
    """
    return Uniform(float(bound), float(mean))
