"""Constants: zeros, ones, any value."""

from __future__ import annotations

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Constant
from initadvisor.initializers.registry import distribution_method


@distribution_method("constant")
def constant(shape: tuple[int, ...], layout: Layout, *, value: float) -> Constant:
    """Every element is the same.

    Formula: W = value.
    Use: biases, norm scales, gates, LayerScale.
    Caveat: a constant weight matrix of a hidden layer gives all its units the same gradient for ever: its rank stays 1.
    Source: folklore.
    """
    return Constant(float(value))


@distribution_method("zeros")
def zeros(shape: tuple[int, ...], layout: Layout) -> Constant:
    """Every element is 0.

    Formula: W = 0.
    Use: biases, heads, the last layer of a residual branch, LoRA's B.
    Caveat: in a hidden layer all units get one gradient; two zero layers in a row never wake up.
    Source: folklore.
    """
    return Constant(0.0)


@distribution_method("ones")
def ones(shape: tuple[int, ...], layout: Layout) -> Constant:
    """Every element is 1.

    Formula: W = 1.
    Use: scales of normalization layers, Fixup's multipliers, Mamba's D.
    Caveat: as `constant`.
    Source: folklore.
    """
    return Constant(1.0)
