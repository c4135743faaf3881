"""LeCun: unit variance forward for linear units and SELU."""

from __future__ import annotations

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Distribution
from initadvisor.initializers.methods.variance_scaling import variance_scaling
from initadvisor.initializers.registry import distribution_method


@distribution_method("lecun_normal")
def lecun_normal(shape: tuple[int, ...], layout: Layout) -> Distribution:
    """Normal of variance 1 / fan_in.

    Formula: W ~ N(0, 1 / fan_in).
    Use: linear layers, SELU (whose gain is 1).
    Caveat: a ReLU stack loses half of its second moment a layer with it.
    Source: LeCun et al. 1998, "Efficient BackProp"; SELU: Klambauer et al. 2017, arXiv 1706.02515.
    """
    return variance_scaling(shape, layout, distribution="normal")


@distribution_method("lecun_uniform")
def lecun_uniform(shape: tuple[int, ...], layout: Layout) -> Distribution:
    """Uniform of variance 1 / fan_in.

    Formula: W ~ U(-sqrt(3 / fan_in), sqrt(3 / fan_in)).
    Use: as `lecun_normal`.
    Caveat: as `lecun_normal`.
    Source: LeCun et al. 1998, "Efficient BackProp".
    """
    return variance_scaling(shape, layout, distribution="uniform")


@distribution_method("lecun_truncated_normal")
def lecun_truncated_normal(shape: tuple[int, ...], layout: Layout) -> Distribution:
    """Normal cut at 2 sigma, of variance 1 / fan_in after the cut.

    Formula: std 1 / sqrt(fan_in), sigma = std / .8796256610.
    Use: as `lecun_normal`, without outliers; what JAX and timm call lecun_normal.
    Caveat: as `lecun_normal`.
    Source: LeCun et al. 1998, "Efficient BackProp".
    """
    return variance_scaling(shape, layout)
