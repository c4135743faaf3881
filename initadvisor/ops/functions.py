"""Element-wise functions on float64 arrays, exact to rounding: what numpy lacks for the activations.

Each activation `f` comes with its derivative `f_slope`; at a kink the slope is the mean of both sides, so that a
quadrature node that falls on it stays unbiased.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SQRT2 = math.sqrt(2.0)
SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
GELU_CUBIC = 0.044715
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
_ERF = np.frompyfunc(math.erf, 1, 1)
_ERFC = np.frompyfunc(math.erfc, 1, 1)


def erf(x: Array) -> Array:
    """The error function; numpy has none."""
    return np.asarray(_ERF(np.asarray(x, dtype=np.float64)), dtype=np.float64)


def normal_cdf(x: Array) -> Array:
    """The standard normal distribution function, accurate in the lower tail too."""
    return 0.5 * np.asarray(_ERFC(-np.asarray(x, dtype=np.float64) / SQRT2), dtype=np.float64)


def normal_pdf(x: Array) -> Array:
    """The standard normal density."""
    return np.exp(-0.5 * np.square(x)) / math.sqrt(2.0 * math.pi)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(x)))


def sigmoid_slope(x: Array) -> Array:
    s = sigmoid(x)
    return s * (1.0 - s)


def step(x: Array, at: float = 0.0) -> Array:
    """The derivative of a ramp that starts at `at`: 0, 1/2, 1."""
    return np.heaviside(np.asarray(x) - at, 0.5)


def relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    return np.where(np.asarray(x) > 0, x, negative_slope * np.asarray(x))


def leaky_relu_slope(x: Array, negative_slope: float = 0.01) -> Array:
    return negative_slope + (1.0 - negative_slope) * step(x)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(np.asarray(x) > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def elu_slope(x: Array, alpha: float = 1.0) -> Array:
    return step(x) + (1.0 - step(x)) * alpha * np.exp(np.minimum(x, 0.0))


def celu(x: Array, alpha: float = 1.0) -> Array:
    return np.maximum(x, 0.0) + alpha * np.expm1(np.minimum(x, 0.0) / alpha)


def celu_slope(x: Array, alpha: float = 1.0) -> Array:
    return step(x) + (1.0 - step(x)) * np.exp(np.minimum(x, 0.0) / alpha)


def selu(x: Array, alpha: float = SELU_ALPHA, scale: float = SELU_SCALE) -> Array:
    return scale * elu(x, alpha)


def selu_slope(x: Array, alpha: float = SELU_ALPHA, scale: float = SELU_SCALE) -> Array:
    return scale * elu_slope(x, alpha)


def gelu(x: Array, approximate: str = "none") -> Array:
    x = np.asarray(x)
    if approximate == "tanh":
        return 0.5 * x * (1.0 + np.tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * x**3)))
    return x * normal_cdf(x)


def gelu_slope(x: Array, approximate: str = "none") -> Array:
    x = np.asarray(x)
    if approximate == "tanh":
        t = np.tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * x**3))
        return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * x * x)
    return normal_cdf(x) + x * normal_pdf(x)


def silu(x: Array, beta: float = 1.0) -> Array:
    return np.asarray(x) * sigmoid(beta * np.asarray(x))


def silu_slope(x: Array, beta: float = 1.0) -> Array:
    s = sigmoid(beta * np.asarray(x))
    return s + beta * np.asarray(x) * s * (1.0 - s)


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta x)) / beta; `threshold` (where torch turns linear) changes nothing beyond rounding."""
    return np.logaddexp(0.0, beta * np.asarray(x)) / beta


def softplus_slope(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    return sigmoid(beta * np.asarray(x))


def mish(x: Array) -> Array:
    return np.asarray(x) * np.tanh(softplus(x))


def mish_slope(x: Array) -> Array:
    t = np.tanh(softplus(x))
    return t + np.asarray(x) * (1.0 - t * t) * sigmoid(x)


def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    return np.clip(x, min_val, max_val)


def hardtanh_slope(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    return step(x, min_val) - step(x, max_val)


def hardsigmoid(x: Array, alpha: float = 1.0 / 6.0, beta: float = 0.5) -> Array:
    return np.clip(alpha * np.asarray(x) + beta, 0.0, 1.0)


def hardsigmoid_slope(x: Array, alpha: float = 1.0 / 6.0, beta: float = 0.5) -> Array:
    return alpha * (step(x, -beta / alpha) - step(x, (1.0 - beta) / alpha))


def hardswish(x: Array) -> Array:
    return np.asarray(x) * hardsigmoid(x)


def hardswish_slope(x: Array) -> Array:
    return hardsigmoid(x) + np.asarray(x) * hardsigmoid_slope(x)


def softsign(x: Array) -> Array:
    return np.asarray(x) / (1.0 + np.abs(x))


def tanh_slope(x: Array, w: float = 1.0) -> Array:
    return w * (1.0 - np.tanh(w * np.asarray(x)) ** 2)


def softshrink(x: Array, lambd: float = 0.5, bias: float | None = None) -> Array:
    """Shrink towards 0 by `bias` (torch: the same as `lambd`) outside of +-lambd, 0 inside."""
    shift = lambd if bias is None else bias
    return np.where(np.asarray(x) > lambd, np.asarray(x) - shift, np.where(np.asarray(x) < -lambd, x + shift, 0.0))


def outside_slope(x: Array, lambd: float = 0.5, bias: float | None = None) -> Array:
    """The derivative of both shrink functions: 1 outside of +-lambd."""
    return step(x, lambd) + 1.0 - step(x, -lambd)


def hardshrink(x: Array, lambd: float = 0.5) -> Array:
    return np.where(np.abs(x) > lambd, x, 0.0)


def threshold(x: Array, threshold: float = 0.0, value: float = 0.0) -> Array:
    return np.where(np.asarray(x) > threshold, x, value)
