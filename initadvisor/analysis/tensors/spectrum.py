"""Singular values of a sampled submatrix, against those of independent draws (Marchenko and Pastur, 1967)."""

from __future__ import annotations

from functools import lru_cache
from math import exp, log, pi, sqrt

import numpy as np

_NODES = 256

LANCZOS = 24
"""Steps that give the largest eigenvalue of a random Gram matrix of a few hundred rows to six digits."""


def effective_rank(sample: np.ndarray) -> float | None:
    """The effective rank of a matrix as a share of that of a random one of its shape: about 1 for a random draw.

    sample: (lines, columns). Effective rank is the exponential of the entropy of the normalised singular values
    (Roy and Vetterli, EUSIPCO 2007). None for fewer than 4 lines or columns, or where an element is not finite.
    """
    if sample.ndim != 2 or min(sample.shape) < 4:
        return None
    values = singular_values(sample)
    if values is None:
        return None
    total = float(values.sum())
    if total == 0.0:
        return 0.0
    share = values[values > 0] / total
    rank = exp(-float((share * np.log(share)).sum()))
    small, large = sorted(sample.shape)
    return float(rank / (small * random_rank_share(small / large)))


def singular_values(sample: np.ndarray) -> np.ndarray | None:
    """Singular values in rising order, from the smaller Gram matrix; None where an element is not finite."""
    scaled = _gram(sample)
    if scaled is None:
        return None
    gram, scale = scaled
    found: np.ndarray = np.sqrt(np.maximum(np.linalg.eigvalsh(gram).astype(np.float64), 0.0)) * scale
    return found


def _gram(sample: np.ndarray) -> tuple[np.ndarray, float] | None:
    """The smaller Gram matrix of sample / scale, and the scale; None where an element is not finite."""
    scale = float(np.abs(sample).max(initial=0.0)) or 1.0
    if not np.isfinite(scale):
        return None
    # Single precision has seven digits of the largest value, enough for what is said of random matrices.
    matrix = (sample / scale).astype(np.float32, copy=False)
    return (matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix), scale


def largest_eigenvalue(matrix: np.ndarray) -> float:
    """The largest eigenvalue of a symmetric matrix, by the Lanczos process with full reorthogonalisation."""
    size = matrix.shape[0]
    if size <= LANCZOS:
        return float(np.linalg.eigvalsh(matrix)[-1])
    basis = np.zeros((LANCZOS, size), matrix.dtype)
    # Any start that is not orthogonal to the vector sought will do; a fixed one makes the answer repeatable.
    basis[0] = np.random.default_rng(0).standard_normal(size)
    basis[0] /= np.linalg.norm(basis[0])
    small = np.zeros((LANCZOS, LANCZOS))
    for step in range(LANCZOS):
        image = matrix @ basis[step]
        known = basis[: step + 1]
        weights = known @ image
        small[step, : step + 1] = small[: step + 1, step] = weights
        image = image - weights @ known
        image -= (known @ image) @ known
        length = float(np.linalg.norm(image))
        if step + 1 == LANCZOS or length <= 1e-6 * abs(float(weights[-1])):
            return float(np.linalg.eigvalsh(small[: step + 1, : step + 1])[-1])
        basis[step + 1] = image / length
    raise AssertionError("unreachable: the last step returns")


@lru_cache(maxsize=1024)
def random_rank_share(aspect: float) -> float:
    """Effective rank over full rank of a large matrix of independent draws; aspect: shorter over longer side.

    From the Marchenko-Pastur density by quadrature over its angle.
    """
    angle = (np.arange(_NODES) + 0.5) * pi / _NODES
    squared = np.maximum(1.0 + aspect + 2.0 * sqrt(aspect) * np.cos(angle), 1e-300)
    weight = 2.0 * np.sin(angle) ** 2 / squared / _NODES
    value = np.sqrt(squared)
    mean = float((weight * value).sum())
    return exp(log(mean) - float((weight * value * np.log(value)).sum()) / mean)


def edge_excess(sample: np.ndarray, std: float) -> float:
    """How far the largest singular value lies beyond the random edge, in units of its Tracy-Widom fluctuation.

    sample: (lines, columns) of draws of standard deviation `std` and mean near 0. About -1.2 +- 1.3 for independent
    draws (Johnstone, Annals of Statistics 2001); large where a low-rank update has been added.
    """
    scaled = _gram(sample)
    if scaled is None or std <= 0.0:
        return 0.0
    gram, scale = scaled
    small, large = sorted(sample.shape)
    sides = sqrt(large - 1) + sqrt(small)
    spread = sides * (1 / sqrt(large - 1) + 1 / sqrt(small)) ** (1 / 3)
    return float((largest_eigenvalue(gram) * (scale / std) ** 2 - sides**2) / spread)
