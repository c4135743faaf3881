"""Does a tensor look like memory that nobody filled (`torch.empty`, `to_empty` without a re-draw)?

Such memory holds what was there before: pages of zeros, pointers and integers (which as floats are subnormal or of any
exponent), fragments of text. Drawn and trained weights keep to a few dozen binary exponents, thinning out downwards
as any smooth density does (the share below 2**-k of the spread is about 2**-k).
"""

from __future__ import annotations

import numpy as np

PLAUSIBLE = (2.0**-60, 2.0**40)
"""Magnitudes that a weight may have, relative to nothing: far outside of what any initializer or optimizer makes."""

ENOUGH = 4096
"""Elements that are looked at."""

SPREAD = 24.0
"""Binary exponents that a plain density spans with all but 2**-24 of its mass."""


def uninitialised_score(sample: np.ndarray, storage: str) -> float:
    """How much of a sample cannot be weights, 0 to 1.

    The score is the larger of two figures. The share of elements that are subnormal-small, times four, where others
    are huge or NaN: weights decay to nothing or blow up, but not both in one tensor. And how far the binary exponents
    are spread out evenly, from 0 at the entropy of a smooth density to 1 near that of random bits.
    """
    if sample.size < 64 or storage not in ("float32", "float64", "float16", "bfloat16"):
        return 0.0
    few = sample[:: max(sample.size // ENOUGH, 1)]
    values = few[few != 0]
    if values.size < 16:
        return 0.0
    with np.errstate(all="ignore"):
        magnitude = np.abs(values.astype(np.float64))
    finite = np.isfinite(magnitude)
    low, high = PLAUSIBLE
    tiny = finite & (magnitude < low)
    huge = ~finite | (magnitude > high)
    mixed = bool(huge.any()) and bool(tiny.any())
    share = min(1.0, 4.0 * float((tiny | huge).mean())) if mixed else 0.0
    return max(share, _exponent_spread(magnitude[finite]))


def _exponent_spread(magnitude: np.ndarray) -> float:
    """0 where binary exponents fall off as a smooth density has them, 1 where they are spread over the whole range."""
    if magnitude.size < 64:
        return 0.0
    exponents = np.frexp(magnitude)[1]
    counts = np.bincount(exponents - exponents.min())
    share = counts[counts > 0] / magnitude.size
    entropy = float(-(share * np.log2(share)).sum())
    # A smooth density has 2 bits; a density spread evenly over 2**SPREAD has log2(SPREAD); random bits have 8.
    return float(np.clip((entropy - np.log2(SPREAD)) / (7.0 - np.log2(SPREAD)), 0.0, 1.0))
