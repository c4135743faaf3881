"""Xavier, also called Glorot: a compromise between the forward and the backward fan."""

from __future__ import annotations

from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Distribution
from initadvisor.initializers.methods.variance_scaling import variance_scaling
from initadvisor.initializers.registry import distribution_method


@distribution_method("xavier_uniform")
def xavier_uniform(shape: tuple[int, ...], layout: Layout, *, gain: float = 1.0) -> Distribution:
    """Uniform of variance 2 gain^2 / (fan_in + fan_out).

    Formula: W ~ U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)).
    Use: tanh, linear layers, transformers' projections.
    Caveat: a ReLU stack halves its signal a layer; a fused q, k, v weight needs the fan of one block (std x .7071).
    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
    """
    return variance_scaling(shape, layout, scale=gain * gain, mode="fan_avg", distribution="uniform")


@distribution_method("xavier_normal")
def xavier_normal(shape: tuple[int, ...], layout: Layout, *, gain: float = 1.0) -> Distribution:
    """Normal of variance 2 gain^2 / (fan_in + fan_out).

    Formula: W ~ N(0, std^2), std = gain sqrt(2 / (fan_in + fan_out)).
    Use: as `xavier_uniform`.
    Caveat: sqrt(6 / (fan_in + fan_out)), which many texts give for the normal, has three times the variance.
    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
    """
    return variance_scaling(shape, layout, scale=gain * gain, mode="fan_avg", distribution="normal")


@distribution_method("xavier_truncated_normal")
def xavier_truncated_normal(shape: tuple[int, ...], layout: Layout, *, gain: float = 1.0) -> Distribution:
    """Normal cut at 2 sigma, of variance 2 gain^2 / (fan_in + fan_out) after the cut.

    Formula: std = gain sqrt(2 / (fan_in + fan_out)), sigma = std / .8796256610.
    Use: as `xavier_uniform`, without outliers.
    Caveat: as `xavier_uniform`.
    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
    """
    return variance_scaling(shape, layout, scale=gain * gain, mode="fan_avg")
