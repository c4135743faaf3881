"""Singular values of a sampled submatrix, against those of independent draws (Marchenko and Pastur, 1967)."""

from __future__ import annotations

from functools import lru_cache
from math import exp, log, pi, sqrt

import numpy as np

_NODES = 256


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
    matrix = sample.astype(np.float64)
    scale = float(np.abs(matrix).max())
    if not np.isfinite(scale):
        return None
    matrix /= scale or 1.0
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    found: np.ndarray = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0)) * (scale or 1.0)
    return found


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
    values = singular_values(sample)
    if values is None or std <= 0.0:
        return 0.0
    small, large = sorted(sample.shape)
    sides = sqrt(large - 1) + sqrt(small)
    spread = sides * (1 / sqrt(large - 1) + 1 / sqrt(small)) ** (1 / 3)
    return float(((values[-1] / std) ** 2 - sides**2) / spread)
