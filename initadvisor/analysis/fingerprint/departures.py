"""How a tensor departs from independent draws of one distribution, as training makes it depart.

A gradient update is a sum of few outer products: it shifts the means of rows and columns (activations are rarely
centred), makes their spreads unequal, and lifts the largest singular values over the edge of a random matrix. Each
departure is a z-score under "independent draws"; `TRAINED` is the threshold on the largest of them.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from initadvisor.analysis.fingerprint.evidence import Evidence
from initadvisor.analysis.tensors.spectrum import edge_excess

TRAINED = 5.5
"""Threshold on the largest z-score; its error rates are measured in the benchmark of the fingerprint."""

LEAST = 8
"""Rows and elements per row from which their means and spreads are compared."""


def departures(evidence: Evidence) -> dict[str, float]:
    """The z-scores by name; empty for tensors of fewer than 2 axes or too small to say."""
    found: dict[str, float] = {}
    count, std = evidence.count, evidence.std
    if std <= 0.0 or count < 64:
        return found
    found["mean"] = abs(evidence.mean_z)
    view = evidence.moments.view
    if view.rows >= LEAST and view.length >= LEAST:
        means, squares = _rows(evidence)
        found["row means"] = _spread_of_means(means, view.length, std)
        found["row spreads"] = _spread_of_squares(squares, view.length, std, evidence.kurtosis)
    lines = evidence.lines
    if lines.ndim == 2 and min(lines.shape) >= LEAST:
        centred = lines.astype(np.float64) - evidence.mean
        found["column means"] = _spread_of_means(centred.mean(0), centred.shape[0], std)
        squares = np.square(centred).mean(0)
        found["column spreads"] = _spread_of_squares(squares, centred.shape[0], std, evidence.kurtosis)
        found["spectrum"] = edge_excess(centred, std)
    return found


def _rows(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square of each row about the tensor's mean, but for rows of zeros (padding) and by block."""
    moments, length = evidence.moments, evidence.moments.view.length
    means = moments.shift + moments.scale * moments.row_sum / length
    shifted = moments.row_sum / length
    centre = (evidence.mean - moments.shift) / moments.scale
    squares = (moments.row_square / length - 2 * centre * shifted + centre * centre) * moments.scale**2
    kept = (moments.row_square > 0) | (moments.row_sum != 0) | (moments.shift != 0)
    for block in evidence.place.blocks:
        if moments.view.outer == 1 and block.axis == 0 and block.stop <= squares.size:
            inside = squares[block.start : block.stop]
            factor = evidence.std**2 / inside.mean() if inside.size and inside.mean() > 0 else 1.0
            squares[block.start : block.stop] = inside * factor
    return means[kept] - evidence.mean, squares[kept]


def _spread_of_means(means: np.ndarray, length: int, std: float) -> float:
    if means.size < LEAST:
        return 0.0
    ratio = float(np.square(means).sum()) * length / std**2 / (means.size - 1)
    return (ratio - 1) / sqrt(2 / (means.size - 1))


def _spread_of_squares(squares: np.ndarray, length: int, std: float, kurtosis: float) -> float:
    if squares.size < LEAST or kurtosis <= 1.0:
        return 0.0
    ratio = float(np.square(squares / std**2 - 1).mean()) * length / (kurtosis - 1)
    return (ratio - 1) / sqrt((2 + 12 / length) / squares.size)
