"""Gains and Gaussian moments of any activation: by name, with parameters, or as a callable on numpy arrays.

With z ~ N(0, 1): the forward gain E[phi(z)^2]^-1/2 keeps the second moment of a layer whose weights have variance
gain^2 / fan_in (He et al. 2015, arXiv 1502.01852, for ReLU), the backward gain E[phi'(z)^2]^-1/2 that of the
gradient; the NF gain Var[phi(z)]^-1/2 is that of normalizer-free nets (arXiv 2101.08692). rho is
d ln E[phi^2(sqrt(q) z)] / d ln q at q = 1: the unit second moment is a stable fixed point where rho < 1. chi1 is
the slope of the correlation map at 1 (Schoenholz et al. 2017, arXiv 1611.01232), here at the forward gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from initadvisor.errors import UsageError
from initadvisor.ops.activations import ACTIVATIONS
from initadvisor.ops.quadrature import expectation, nodes

Function = Callable[[np.ndarray], np.ndarray]

ALIASES = {
    "identity": "linear",
    "none": "linear",
    "swish": "silu",
    "hard_swish": "hardswish",
    "hard_sigmoid": "hardsigmoid",
    "hard_tanh": "hardtanh",
    "relu_squared": "squared_relu",
    "relu2": "squared_relu",
}


@dataclass(frozen=True, slots=True)
class ScalarFunction:
    """A function of one variable with its derivative; `kinks` is None where they are not known."""

    name: str
    function: Function
    derivative: Function
    kinks: tuple[float, ...] | None = ()
    oscillates: float = 0.0


@dataclass(frozen=True, slots=True)
class Gains:
    """What an activation does to a standard normal pre-activation; see the module for the definitions."""

    forward: float
    backward: float
    second_moment: float
    slope_moment: float
    mean: float
    nf_gamma: float
    rho: float
    chi1: float


@dataclass(frozen=True, slots=True)
class Moments:
    """E[f], E[f^2], E[f'^2] and E[f'] for a Gaussian input."""

    mean: float
    second: float
    slope: float
    slope_mean: float


def resolve(activation: str | Function | ScalarFunction, **params: Any) -> ScalarFunction:
    """Return the function that a name with parameters, or a callable, stands for.

    Raises UsageError for a name or a parameter that is not known.
    """
    if isinstance(activation, ScalarFunction):
        return activation
    if callable(activation):
        return ScalarFunction(getattr(activation, "__name__", "function"), activation, numeric_slope(activation), None)
    return _named(ALIASES.get(activation.lower(), activation.lower()), tuple(sorted(params.items())))


@lru_cache(maxsize=1024)
def _named(name: str, params: tuple[tuple[str, Any], ...]) -> ScalarFunction:
    entry = ACTIVATIONS.get(name)
    if entry is None:
        raise UsageError(f"no activation is called {name!r}", hint="known: " + ", ".join(sorted(ACTIVATIONS)))
    unknown = [key for key, _ in params if key not in entry.params]
    if unknown:
        known = ", ".join(entry.params) or "none"
        raise UsageError(f"activation {name!r} has no parameter {unknown[0]!r}", hint=f"its parameters: {known}")
    full: Mapping[str, Any] = {**entry.params, **dict(params)}
    function, derivative = entry.function, entry.derivative
    return ScalarFunction(
        name,
        lambda x: function(x, **full),
        lambda x: derivative(x, **full),
        entry.kinks(full),
        float(abs(full["w"])) if name in ("sin", "cos") else 0.0,
    )


def numeric_slope(function: Function) -> Function:
    """The derivative by central differences; 0 at a jump, as automatic differentiation has it."""

    def slope(x: np.ndarray) -> np.ndarray:
        h = 1e-6 * np.maximum(1.0, np.abs(x))
        wide = (np.asarray(function(x + h)) - np.asarray(function(x - h))) / (2.0 * h)
        h = 0.1 * h
        narrow = (np.asarray(function(x + h)) - np.asarray(function(x - h))) / (2.0 * h)
        jump = (np.abs(narrow) > 5.0 * np.abs(wide)) & (np.abs(narrow) > 1e3)
        jump |= (np.abs(wide) > 5.0 * np.abs(narrow)) & (np.abs(wide) > 1e3)
        return np.where(jump, 0.0, wide)

    return slope


def gains(activation: str | Function | ScalarFunction, **params: Any) -> Gains:
    """Compute the gains of an activation; an infinite gain says that the function (or its slope) vanishes.

    A callable must map a float64 array to an array of the same shape, element by element.
    """
    f = resolve(activation, **params)

    def integrand(x: np.ndarray) -> np.ndarray:
        y, slope = np.asarray(f.function(x)), np.asarray(f.derivative(x))
        return np.stack([y, y * y, slope * slope, x * y * slope])

    mean, second, slope, growth = (float(v) for v in _expect(integrand, f))
    variance = second - mean * mean
    return Gains(
        forward=_inverse_root(second),
        backward=_inverse_root(slope),
        second_moment=second,
        slope_moment=slope,
        mean=mean,
        nf_gamma=_inverse_root(variance if variance > 1e-12 * second else 0.0),
        rho=growth / second if second > 0 else math.nan,
        chi1=slope / second if second > 0 else math.nan,
    )


def _expect(integrand: Function, f: ScalarFunction, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    """Adaptive expectation; a numeric derivative carries noise of 1e-10, which no halving of panels removes."""
    return expectation(integrand, mean, std, f.kinks, tolerance=1e-8 if f.kinks is None else 1e-12)


def _inverse_root(x: float) -> float:
    return 1.0 / math.sqrt(x) if x > 0 else math.inf


def moments(activation: str | Function | ScalarFunction, q: float = 1.0, mean: float = 0.0, **params: Any) -> Moments:
    """The moments of f(x) for a Gaussian x with second moment q and the given mean."""
    f = resolve(activation, **params)
    std = math.sqrt(max(q - mean * mean, 0.0))

    def integrand(x: np.ndarray) -> np.ndarray:
        y, slope = np.asarray(f.function(x)), np.asarray(f.derivative(x))
        return np.stack([y, y * y, slope * slope, slope])

    if f.kinks is None or f.oscillates * std > 2.0:
        return Moments(*(float(v) for v in _expect(integrand, f, mean, std)))
    x, w = nodes(mean, std, f.kinks)
    return Moments(*(float(v) for v in integrand(x) @ w))


def second_moment(activation: str | Function | ScalarFunction, q: float = 1.0, **params: Any) -> float:
    """E[f(sqrt(q) z)^2]."""
    return moments(activation, q, **params).second


def slope_moment(activation: str | Function | ScalarFunction, q: float = 1.0, **params: Any) -> float:
    """E[f'(sqrt(q) z)^2]."""
    return moments(activation, q, **params).slope


def mean(activation: str | Function | ScalarFunction, q: float = 1.0, **params: Any) -> float:
    """E[f(sqrt(q) z)]."""
    return moments(activation, q, **params).mean
