"""Whether two sets of samples come from one distribution.

Rabanser et al., Failing Loudly (2019, arXiv 1810.11953): univariate Kolmogorov-Smirnov tests with Bonferroni's
correction do about as well as multivariate ones. The samples of a test are the samples of the data, so an image
enters by statistics of its own and not by its pixels, which depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """(distance, p-value) of two one-dimensional samples, by the asymptotic distribution with Stephens' correction.

    Ties make the test conservative: the p-value is an upper bound.
    """
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate((a, b))
    below = np.searchsorted(a, both, side="right") / len(a) - np.searchsorted(b, both, side="right") / len(b)
    distance = float(np.abs(below).max())
    size = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    return distance, _survival((size + 0.12 + 0.11 / size) * distance)


def _survival(x: float) -> float:
    """Q(x) = 2 sum (-1)^(k-1) exp(-2 k^2 x^2), the Kolmogorov distribution's tail."""
    if x < 0.2:
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(1.0, max(0.0, float(sum(terms))))


def shifted(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> tuple[float, float, str] | None:
    """(distance, corrected p-value, name) of the statistic that differs most; None where nothing can be compared."""
    tests = [(name, *kolmogorov_smirnov(a[name], b[name])) for name in a if name in b and len(a[name]) and len(b[name])]
    if not tests:
        return None
    name, distance, p = min(tests, key=lambda test: (test[2], -test[1]))
    return distance, min(1.0, p * len(tests)), name


def labels_shifted(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """(total variation distance, p-value) of two samples of classes, by the chi-squared test of homogeneity.

    The p-value is Wilson and Hilferty's normal approximation (1931) of the chi-squared tail. Classes expected less
    than five times in either set are pooled, as the test asks for.
    """
    classes = np.union1d(a, b)
    counts = np.array([[np.sum(side == each) for each in classes] for side in (a, b)], dtype=np.float64)
    total_variation = float(0.5 * np.abs(counts[0] / len(a) - counts[1] / len(b)).sum())
    share = counts.sum(0) / counts.sum()
    rare = share * min(len(a), len(b)) < 5
    if rare.any():
        counts = np.column_stack((counts[:, ~rare], counts[:, rare].sum(1)))
        counts = counts[:, counts.sum(0) > 0]
    freedom = counts.shape[1] - 1
    if freedom < 1:
        return total_variation, 1.0
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    spread = 2 / (9 * freedom)
    z = ((chi2 / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return total_variation, 0.5 * math.erfc(z / math.sqrt(2))
