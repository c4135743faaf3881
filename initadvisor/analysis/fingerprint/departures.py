"""How a tensor departs from independent draws of one distribution, as training makes it depart.

A gradient update is a sum of few outer products: it shifts the means of rows and columns (activations are rarely
centred), makes their spreads unequal, and lifts the largest singular values over the edge of a random matrix. Each
departure is a z-score under "independent draws"; `TRAINED` is the threshold on the largest of them.
"""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from initadvisor.analysis.fingerprint.candidates import Candidate
from initadvisor.analysis.fingerprint.evidence import Evidence
from initadvisor.analysis.fingerprint.goodness import distance, kurtosis_z
from initadvisor.analysis.fingerprint.structured import NEARLY, line_products
from initadvisor.analysis.tensors.sampling import line_sample
from initadvisor.analysis.tensors.spectrum import edge_excess

TRAINED = 5.5
"""Threshold on the largest z-score; its error rates are measured in the benchmark of the fingerprint."""

KS_SCALE = 2.1
"""Brings a Kolmogorov-Smirnov distance onto the scale of z-scores: 2.6 (one in 400,000) to `TRAINED`."""

OFFSET = 0.1
"""Standard deviations of a mean that somebody may have drawn on purpose; training moves it by less."""

LEAST = 8
"""Rows and elements per row from which their means and spreads are compared."""


def evidence_of_training(evidence: Evidence, best: Candidate, centre: float) -> tuple[float, str]:
    """The largest departure from an independent draw of the best candidate, and its name."""
    scores = departures(evidence)
    if centre == 1.0 or abs(evidence.mean) > OFFSET * evidence.std:
        scores.pop("mean", None)
    if evidence.sample.size >= 64:
        scores["distribution"] = _misfit(evidence, best, centre)
    repelled = _repelled(evidence)
    if repelled is not None:
        scores["orthogonality"] = repelled
    if not scores:
        return 0.0, ""
    reason = max(scores, key=lambda name: scores[name])
    return scores[reason], reason


def _misfit(evidence: Evidence, candidate: Candidate, centre: float) -> float:
    ordered = np.sort(evidence.sample.astype(np.float64) - centre)
    kind = candidate.distribution
    scale = candidate.std
    if kind == "uniform":
        scale = candidate.bound
    elif kind == "truncated_normal":
        scale = candidate.bound / 2
    if kind == "normal" and centre not in (0.0, 1.0):
        scale = evidence.std
    score = KS_SCALE * distance(ordered, kind, scale)
    if kind == "normal":
        score = max(score, abs(kurtosis_z(evidence.kurtosis, evidence.sample.size)))
    return score


def _repelled(evidence: Evidence) -> float | None:
    """A z-score of lines that are closer to orthogonal than independent draws: trained from an orthogonal start."""
    if len(evidence.shape) < 2:
        return None
    rows, columns = evidence.shape[0], prod(evidence.shape[1:])
    if min(rows, columns) < 16:
        return None
    lines = evidence.moments.columns
    lines = line_sample(evidence.source, 24, columns) if rows <= columns else (None if lines is None else lines.T)
    if lines is None:
        return None
    pairs = lines.shape[0] * (lines.shape[0] - 1) / 2
    square = line_products(lines)[2]
    return (1 - square) / sqrt(2 / pairs) if square < NEARLY else 0.0


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
        length = evidence.moments.row_length
        found["row means"] = _spread_of_means(means, length, std)
        found["row spreads"] = _spread_of_squares(squares, length, std, evidence.kurtosis)
    lines = evidence.lines
    if lines.ndim == 2 and min(lines.shape) >= LEAST:
        centred = lines - lines.dtype.type(evidence.mean)
        found["column means"] = _spread_of_means(centred.mean(0).astype(np.float64), centred.shape[0], std)
        squares = np.einsum("lc,lc->c", centred, centred).astype(np.float64) / centred.shape[0]
        found["column spreads"] = _spread_of_squares(squares, centred.shape[0], std, evidence.kurtosis)
        found["spectrum"] = edge_excess(centred, std)
    return found


def _rows(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square of each row about the tensor's mean, but for rows of zeros (padding) and by block."""
    moments, length = evidence.moments, evidence.moments.row_length
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
