"""Kaiming, also called He: unit second moment through ReLU and its leaky kin."""

from __future__ import annotations

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Distribution
from initadvisor.initializers.methods.variance_scaling import variance_scaling
from initadvisor.initializers.registry import distribution_method


@distribution_method("kaiming_normal")
def kaiming_normal(
    shape: tuple[int, ...], layout: Layout, *, negative_slope: float = 0.0, mode: str = "fan_in"
) -> Distribution:
    """Normal of variance 2 / ((1 + a^2) fan).

    Formula: W ~ N(0, std^2), std = sqrt(2 / ((1 + negative_slope^2) fan)).
    Use: ReLU, LeakyReLU, PReLU; mode fan_out keeps the gradient's second moment instead of the signal's.
    Caveat: for GELU, SiLU and others use `variance_scaling` with the square of their own gain.
    Source: He et al. 2015, arXiv 1502.01852.
    """
    return variance_scaling(shape, layout, scale=_scale(negative_slope), mode=mode, distribution="normal")


@distribution_method("kaiming_uniform")
def kaiming_uniform(
    shape: tuple[int, ...], layout: Layout, *, negative_slope: float = 0.0, mode: str = "fan_in"
) -> Distribution:
    """Uniform of variance 2 / ((1 + a^2) fan).

    Formula: W ~ U(-b, b), b = sqrt(6 / ((1 + negative_slope^2) fan)).
    Use: as `kaiming_normal`.
    Caveat: torch's default passes negative_slope sqrt(5), which makes it U(+-1 / sqrt(fan_in)): see `pytorch_default`.
    Source: He et al. 2015, arXiv 1502.01852.
    """
    return variance_scaling(shape, layout, scale=_scale(negative_slope), mode=mode, distribution="uniform")


@distribution_method("kaiming_truncated_normal")
def kaiming_truncated_normal(
    shape: tuple[int, ...], layout: Layout, *, negative_slope: float = 0.0, mode: str = "fan_in"
) -> Distribution:
    """Normal cut at 2 sigma, of variance 2 / ((1 + a^2) fan) after the cut.

    Formula: std = sqrt(2 / ((1 + negative_slope^2) fan)), sigma = std / .8796256610.
    Use: as `kaiming_normal`, without outliers.
    Caveat: as `kaiming_normal`.
    Source: He et al. 2015, arXiv 1502.01852.
    """
    return variance_scaling(shape, layout, scale=_scale(negative_slope), mode=mode)


def _scale(negative_slope: float) -> float:
    return 2.0 / (1.0 + negative_slope * negative_slope)
