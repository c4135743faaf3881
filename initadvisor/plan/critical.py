"""Starts at the edge of chaos: for activations whose signal either saturates or drowns at any other scale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, sqrt

from initadvisor.graph import Activation
from initadvisor.ops.gains import moments

SATURATING = frozenset({"tanh", "sigmoid", "hardtanh", "hardsigmoid", "softsign", "erf", "atan", "arctan"})
"""Bounded activations that are nearly linear around zero."""

SMALLEST = ((200, 0.11), (10**9, 0.026))
"""Depth up to which -> smallest second moment of pre-activations, in units where tanh saturates.

The fixed point of a stack of depth L is best near 1/L (Xiao et al. 2018, arXiv 1806.05393). At .11 a stack of 100
layers trains as well and its first layer need not shrink its input more than three times; at 1,000 layers only a
smaller one keeps the gradient's noise from growing (measured: 353x at .11, 2.5x at .026).
"""

LEAST_FIRST = 0.21
"""Share of its usual gain that the first layer keeps: below a fifth it reads as a layer drawn too small."""


@dataclass(frozen=True, slots=True)
class Critical:
    """The start of a layer in a deep stack of one saturating activation.

    gain and bias: standard deviation of the weights times sqrt(fan_in), and of the biases, that keep the second
    moment `second` and a gradient factor of exactly 1. first: the gain of the first layer, for inputs of unit second
    moment. centred: whether the rows of the weights have to sum to zero, as the activation's mean is not zero.
    """

    gain: float
    bias: float
    first: float
    second: float
    centred: bool


@lru_cache(maxsize=256)
def critical(name: str, params: tuple[tuple[str, float], ...], depth: int) -> Critical:
    """The critical start for a stack of that depth.

    Source: sw^2 = 1 / E[f'(sqrt(q) z)^2], sb^2 = q - sw^2 Var f (Schoenholz et al. 2017, arXiv 1611.01232).
    """
    smallest = next(value for limit, value in SMALLEST if depth <= limit)
    usual = moments(name, 1.0, **dict(params))
    least = LEAST_FIRST * max(usual.second**-0.5, usual.slope**-0.5 if usual.slope < 0.5 * usual.second else 0.0)
    # A kink at zero (softsign) loses slope at once: its second moment may not fall far below that of the first layer.
    second = max(_equivalent(name, params, max(1.0 / depth, smallest)), 0.2 * least * least)
    found = moments(name, second, **dict(params))
    centred = abs(found.mean) > 1e-6
    gain = 1.0 / sqrt(found.slope)
    passed = gain * gain * (found.second - found.mean**2)
    bias = sqrt(max(second - passed, 0.0))
    first = max(sqrt(max(second - bias * bias, 0.0)), least)
    return Critical(gain, bias, first, second, centred)


def is_saturating(activation: Activation | None) -> bool:
    """Whether a stack of this activation wants the critical start."""
    return activation is not None and activation.name in SATURATING


def _equivalent(name: str, params: tuple[tuple[str, float], ...], second: float) -> float:
    """The second moment at which the activation has lost as much slope as tanh has at `second`."""
    lost = moments("tanh", second).slope
    steepest = moments(name, 1e-8, **dict(params)).slope
    low, high = log(1e-6), log(1e4)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if moments(name, exp(middle), **dict(params)).slope > lost * steepest:
            low = middle
        else:
            high = middle
    return exp(0.5 * (low + high))
