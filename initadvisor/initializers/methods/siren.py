"""SIREN: networks with sine activations."""

from __future__ import annotations

from math import sqrt

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Uniform
from initadvisor.initializers.registry import distribution_method


@distribution_method("siren_first")
def siren_first(shape: tuple[int, ...], layout: Layout) -> Uniform:
    """The first layer of a sine network, whose input lies in [-1, 1].

    Formula: W ~ U(-1 / fan_in, 1 / fan_in), followed by sin(omega x).
    Use: coordinates in, first layer only.
    Caveat: assumes inputs in [-1, 1].
    Source: Sitzmann et al. 2020, arXiv 2006.09661.
    """
    return Uniform(1.0 / layout.fan_in(shape))


@distribution_method("siren")
def siren(shape: tuple[int, ...], layout: Layout, *, omega: float = 30.0) -> Uniform:
    """The hidden and output layers of a sine network.

    Formula: W ~ U(-b, b), b = sqrt(6 / fan_in) / omega, followed by sin(omega x).
    Use: all layers but the first.
    Caveat: the pre-activation settles at a variance of .797 (the solution of q = 1 - exp(-2q)), not at the 1 of the
        paper, and the slope of the correlation map is 1.20 there: slightly chaotic.
    Source: Sitzmann et al. 2020, arXiv 2006.09661.
    """
    return Uniform(sqrt(6.0 / layout.fan_in(shape)) / omega)
