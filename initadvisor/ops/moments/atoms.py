"""Distributions that are not Gaussian, as a few points with weights, and gradients that depend on the value."""

from __future__ import annotations

import math

import numpy as np

from initadvisor.ops.moments.signal import Signal
from initadvisor.ops.quadrature import nodes

ATOMS = 48
"""Points that stand for a distribution that is not Gaussian."""

_SPREAD = np.polynomial.hermite_e.hermegauss(16)
_SPREAD = (_SPREAD[0], _SPREAD[1] / _SPREAD[1].sum())


def smoothed(root: Signal) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of the whole distribution: every atom spread by the Gaussian part."""
    assert root.atoms is not None
    points, weights = root.atoms
    mean = float(weights @ points)
    rest = root.variance - float(weights @ (points - mean) ** 2)
    if rest <= 1e-12 * root.variance:
        return points, weights
    spread = (points - mean)[:, None] + math.sqrt(rest) * _SPREAD[0][None, :] + root.mean
    return spread.ravel(), (weights[:, None] * _SPREAD[1][None, :]).ravel()


def atoms_of(s: Signal) -> tuple[np.ndarray, np.ndarray] | None:
    """A few points with weights that stand for the distribution of a function of a value, None for a Gaussian."""
    root, function = s.law if s.law is not None else (s.base, s.function)
    if root is None or function is None:
        return s.atoms
    if function.name == "linear" or root.variance <= 0.0:
        return None
    if root.atoms is not None:
        x, w = smoothed(root)
    else:
        x, w = nodes(root.mean, math.sqrt(root.variance), function.kinks or ())
    with np.errstate(all="ignore"):
        return _condensed(np.asarray(function.function(x), dtype=np.float64), w)


def _condensed(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most ATOMS points with the same mean and almost the same spread: neighbours are joined."""
    order = np.argsort(points, kind="stable")
    points, weights = points[order], weights[order]
    cumulative = np.cumsum(weights)
    # more groups in the tails, where the second moment is made
    level = np.minimum((cumulative / cumulative[-1] * ATOMS).astype(np.int64), ATOMS - 1)
    total = np.bincount(level, weights, ATOMS)
    kept = total > 0
    means = np.bincount(level, weights * points, ATOMS)[kept] / total[kept]
    return means, total[kept] / cumulative[-1]


def profile_over(x: np.ndarray, w: np.ndarray, relative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The size of a gradient over the value, at ATOMS points."""
    order = np.argsort(x, kind="stable")
    level = np.minimum((np.cumsum(w[order]) * ATOMS).astype(np.int64), ATOMS - 1)
    mass = np.bincount(level, w[order], ATOMS)
    kept = mass > 1e-12
    at = np.bincount(level, (w * x)[order], ATOMS)[kept] / mass[kept]
    return at, np.bincount(level, (w * relative)[order], ATOMS)[kept] / mass[kept]


def before_sum(
    profile: tuple[np.ndarray, np.ndarray], operand: Signal, other: Signal
) -> tuple[np.ndarray, np.ndarray] | None:
    """The profile over one operand of a sum from that over the sum, the other operand taken as Gaussian."""
    atoms = atoms_of(operand)
    if atoms is None:
        return None
    points = atoms[0]
    added = other.mean + math.sqrt(other.variance) * _SPREAD[0]
    relative = np.interp((points[:, None] + added[None, :]).ravel(), *profile).reshape(points.size, -1) @ _SPREAD[1]
    return points, relative / max(float(atoms[1] @ relative), 1e-300)
