"""Random Fourier features: a fixed first layer for coordinates."""

from __future__ import annotations

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Normal
from initadvisor.initializers.registry import distribution_method


@distribution_method("fourier_features")
def fourier_features(shape: tuple[int, ...], layout: Layout, *, sigma: float = 10.0) -> Normal:
    """The frequencies B of the features [sin(2 pi B x), cos(2 pi B x)], which stay fixed in training.

    Formula: B ~ N(0, sigma^2); the features have E[x^2] = 1/2, so the next layer's gain is sqrt(2) times its own.
    Use: coordinate networks; sigma sets the bandwidth and is the one hyper-parameter.
    Caveat: too large a sigma gives noise, too small a blur.
    Source: Tancik et al. 2020, arXiv 2006.10739.
    """
    return Normal(float(sigma))
