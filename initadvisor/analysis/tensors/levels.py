"""Does a weight take few evenly spaced values, as quantisation leaves it?"""

from __future__ import annotations

import numpy as np

MOST = 256
"""Levels of eight bits."""

LEAST_ELEMENTS = 32
"""Elements of a row below which an even spacing may be chance."""

ROWS = 16
TOLERANCE = 0.02
"""Of a step: what float32 leaves of a product of a level and a scale is below 1e-4 of one."""


def even_levels(lines: np.ndarray) -> int:
    """The most levels of any row where nearly every row lies on an even grid of its own, else 0.

    lines: (rows, elements), some of a weight's rows. Each row has its own step, as quantisation by channel gives it.
    """
    if lines.shape[1] < LEAST_ELEMENTS:
        return 0
    found = []
    for row in lines[:: max(len(lines) // ROWS, 1)][:ROWS]:
        levels = _levels(row)
        found.append(levels)
        if levels == 0 and len(found) == 1 and np.ptp(row) > 0:
            return 0
    varied = [levels for levels in found if levels != 1]
    return max(varied) if varied and all(varied) else 0


def _levels(row: np.ndarray) -> int:
    values = np.unique(row.astype(np.float64))
    if len(values) > MOST or not np.isfinite(values).all():
        return 0
    if len(values) < 2:
        return 1
    span = values[-1] - values[0]
    # The smallest gap is a multiple of the step where no two neighbours occur: a few divisors are tried.
    gap = np.diff(values).min()
    for part in (1, 2, 3):
        steps = (values - values[0]) / (gap / part)
        if span / (gap / part) < MOST and np.abs(steps - np.round(steps)).max() < TOLERANCE:
            return round(float(span / (gap / part))) + 1
    return 0
