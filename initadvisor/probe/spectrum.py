"""What follows from the scalar products between samples, in float64 on the host."""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-12
"""Share of the samples' mean square below which what differs between them is rounding of float32: (1e-6)^2."""


SMALLEST = 1e-3
"""Share of the largest singular value below which others are left out: products are rounded to 6e-8 of the largest."""


def mean_cosine(gram: np.ndarray) -> float | None:
    """Mean cosine over the pairs of samples; None for one sample or where one is zero."""
    gram = np.asarray(gram, np.float64)
    lengths = np.sqrt(np.clip(np.diag(gram), 0, None))
    count = len(lengths)
    if count < 2 or not np.isfinite(gram).all() or not lengths.all():
        return None
    cosines = gram / np.outer(lengths, lengths)
    return float((cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def effective_rank(grams: np.ndarray) -> float | None:
    """Exponential of the entropy of the singular values of the samples, their mean taken off; at most count - 1.

    grams: (2, count, count), the scalar products of the samples and those of the samples less their mean. 1 where
    nothing but rounding tells them apart. Roy and Vetterli, EUSIPCO 2007.
    """
    whole, apart = np.asarray(grams, np.float64)
    count = len(apart)
    if count < 2 or not np.isfinite(grams).all():
        return None
    if np.trace(apart) <= ROUNDING * np.trace(whole):
        return 1.0
    values = np.sqrt(np.clip(np.linalg.eigvalsh(apart), 0, None))
    shares = values[values > SMALLEST * values[-1]]
    shares /= shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
