"""The correlation map of an activation: what is left of the covariance of two pre-activations behind it.

With Hermite coefficients a_n of f(mean + std z), two jointly Gaussian inputs of correlation c give
E[f(u) f(v)] = sum a_n^2 c^n (the C-map of Poole et al. 2016, arXiv 1606.05340, up to normalisation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from initadvisor.ops.gains import ScalarFunction
from initadvisor.ops.quadrature import breakpoints, standard_nodes

TERMS = 24
"""Hermite terms kept; what is left of the second moment is put at the next power."""

_ROOTS = np.sqrt(np.arange(TERMS + 1, dtype=np.float64))
_POWERS = np.arange(TERMS + 1, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Dual:
    """An activation on x ~ N(mean, variance): its moments and how pairs of such inputs leave it.

    second: E[f^2]; slope: E[f'^2]; slope_mean: E[f']; growth and slope_growth: by which power of the
    variance E[f^2] and E[f'^2] grow here.
    """

    mean: float
    second: float
    slope: float
    slope_mean: float
    variance: float
    growth: float
    slope_growth: float
    _value: np.ndarray
    _slope: np.ndarray
    _radial: np.ndarray

    def pair(self, covariance: float) -> float:
        """E[f(u) f(v)] for inputs of the given covariance."""
        return self._series(self._value, covariance)

    def slope_pair(self, covariance: float) -> float:
        """E[f'(u) f'(v)]."""
        return self._series(self._slope, covariance)

    def radial_pair(self, covariance: float) -> float:
        """E[z f'(u) z' f'(v)] with z, z' the standardised inputs: what a batch norm before f projects out."""
        return self._series(self._radial, covariance)

    def value_map(self, correlation: np.ndarray) -> np.ndarray:
        """E[f(u) f(v)] for arrays of correlations."""
        return np.asarray(np.polynomial.polynomial.polyval(correlation, self._value))

    def slope_map(self, correlation: np.ndarray) -> np.ndarray:
        """E[f'(u) f'(v)] for arrays of correlations."""
        return np.asarray(np.polynomial.polynomial.polyval(correlation, self._slope))

    def corrected(self, value: tuple[float, float], slope: tuple[float, float], radial: tuple[float, float]) -> Dual:
        """The same map between given (mean, second moment) of value, slope and radial slope of a single element."""
        return Dual(
            mean=value[0],
            second=value[1],
            slope=slope[1],
            slope_mean=slope[0],
            variance=self.variance,
            growth=self.growth,
            slope_growth=self.slope_growth,
            _value=_between(self._value, *value),
            _slope=_between(self._slope, *slope),
            _radial=_between(self._radial, *radial),
        )

    def _series(self, squares: np.ndarray, covariance: float) -> float:
        if self.variance <= 0.0:
            return float(squares[0])
        c = min(max(covariance / self.variance, -1.0), 1.0)
        return float(squares @ c**_POWERS)


def _between(squares: np.ndarray, mean: float, second: float) -> np.ndarray:
    """The coefficients scaled so that they lead from mean^2 to the second moment."""
    spread = float(squares[1:].sum())
    made = squares * (max(second - mean * mean, 0.0) / spread if spread > 0.0 else 0.0)
    made[0] = mean * mean
    return np.asarray(made)


@lru_cache(maxsize=8192)
def dual(f: ScalarFunction, mean: float, variance: float) -> Dual:
    """Expand f around N(mean, variance)."""
    if variance <= 0.0:
        return _point(f, mean)
    std = math.sqrt(variance)
    borders = tuple(breakpoints(mean, std, f.kinks or ()))
    z, w = standard_nodes(borders)
    x = mean + std * z
    with np.errstate(all="ignore"):
        y = np.asarray(f.function(x), dtype=np.float64)
        slope = np.asarray(f.derivative(x), dtype=np.float64)
    weighted = np.stack([y, slope, slope * z], axis=1)
    coefficients = _weighted_hermite(borders) @ weighted
    second, slope_second = float(w @ (y * y)), float(w @ (slope * slope))
    radial_second = float(w @ (slope * slope * z * z))
    return Dual(
        mean=float(coefficients[0, 0]),
        second=second,
        slope=slope_second,
        slope_mean=float(coefficients[0, 1]),
        variance=variance,
        growth=_growth(float(w @ (y * y * z * z)), second),
        slope_growth=_growth(radial_second, slope_second),
        _value=_with_tail(coefficients[:, 0], second),
        _slope=_with_tail(coefficients[:, 1], slope_second),
        _radial=_with_tail(coefficients[:, 2], radial_second),
    )


def _growth(tilted: float, second: float) -> float:
    """d ln E[g^2] / d ln variance = (E[g^2 z^2] / E[g^2] - 1) / 2 for g(mean + std z)."""
    return 0.5 * (tilted / second - 1.0) if second > 0.0 else 0.0


def _point(f: ScalarFunction, mean: float) -> Dual:
    at = np.array([mean])
    y, slope = float(np.asarray(f.function(at))[0]), float(np.asarray(f.derivative(at))[0])
    first = np.zeros(TERMS + 1)
    first[0] = 1.0
    return Dual(y, y * y, slope * slope, slope, 0.0, 0.0, 0.0, first * y * y, first * slope * slope, first * 0.0)


@lru_cache(maxsize=128)
def _weighted_hermite(borders: tuple[float, ...]) -> np.ndarray:
    """Polynomials at the nodes of some panels, times their weights."""
    z, w = standard_nodes(borders)
    return np.asarray(_hermite(z) * w)


def _hermite(z: np.ndarray) -> np.ndarray:
    """Normalised Hermite polynomials 0 .. TERMS - 1 at z: shape (TERMS, n)."""
    table = np.empty((TERMS, z.size))
    table[0], table[1] = 1.0, z
    for n in range(1, TERMS - 1):
        table[n + 1] = (z * table[n] - _ROOTS[n] * table[n - 1]) / _ROOTS[n + 1]
    return table


def _with_tail(coefficients: np.ndarray, second: float) -> np.ndarray:
    squares = np.empty(TERMS + 1)
    squares[:TERMS] = coefficients**2
    squares[TERMS] = max(second - float(squares[:TERMS].sum()), 0.0)
    return squares
