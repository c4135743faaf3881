"""Looks for the lattice of a generator under the elements: a draw that nothing has moved since."""

from __future__ import annotations

from math import sqrt

import numpy as np

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.fingerprint.candidates import FOLDS, Candidate
from initadvisor.analysis.fingerprint.evidence import Evidence
from initadvisor.analysis.fingerprint.lattice import (
    NAMED,
    PROVEN,
    angle_lattice,
    head_pairs,
    radius_lattice,
    sharp_radii,
    truncated_lattice,
    uniform_lattice,
)
from initadvisor.analysis.fingerprint.likelihood import Scored
from initadvisor.analysis.fingerprint.verdicts import drawn, proven
from initadvisor.analysis.tensors.sampling import line_sample, whole

LEAST = 64
"""Elements below which no lattice can be told."""

STRETCHES, STRETCH = 4, 1024
"""Stretches of consecutive elements, spread over the tensor, that are searched for pairs of a generator."""

TRIED = 2
"""Candidates whose inverse error function is searched for a lattice."""

FLAT = 2.1
"""Kurtosis between that of a uniform (1.8) and that of a normal cut at two standard deviations (2.37)."""


def pristine(evidence: Evidence, ranked: list[Scored]) -> DrawFacts | None:
    """The draw whose lattice the elements lie on; None where there is none, which proves nothing.

    ranked: the candidates, most probable first.
    """
    if evidence.count < LEAST or evidence.source.dtype not in ("float32", "float64"):
        return None
    if evidence.kurtosis < FLAT or evidence.count < 1000:
        found = _uniform(evidence, ranked)
        if found is not None:
            return found
    return _normal(evidence, ranked) if evidence.kurtosis > FLAT or evidence.count < 1000 else None


def _uniform(evidence: Evidence, ranked: list[Scored]) -> DrawFacts | None:
    largest = evidence.moments.absmax
    # The largest of n draws lies within 30 / n of the bound, but for one in 1e13 tensors.
    least = largest / (1 - min(30 / evidence.count, 0.5))
    for scored in ranked:
        plain = scored.candidate
        if scored.free or plain.distribution != "uniform":
            continue
        for factor in FOLDS:
            bound = plain.bound * factor
            if largest <= bound * (1 + 1e-6) and bound <= least and uniform_lattice(evidence.sample, bound) > PROVEN:
                return proven(plain, factor, ranked)
    return None


def _normal(evidence: Evidence, ranked: list[Scored]) -> DrawFacts | None:
    pairs = head_pairs(_stretches(evidence))
    angles = angle_lattice(*pairs)
    if angles <= PROVEN and len(evidence.shape) == 2:
        pairs = _transposed_pairs(evidence)
        angles = angle_lattice(*pairs)
    std = sqrt(evidence.std**2 + evidence.mean**2)
    near = [s.candidate for s in ranked if not s.free and s.candidate.distribution != "uniform"]
    near = [c for c in near if abs(c.std / std - 1) < 5 / sqrt(2 * evidence.count) + 1e-3]
    if angles > PROVEN:
        scales = {_parent(c) * fold: (c, fold) for c in reversed(near) for fold in FOLDS}
        radii = sharp_radii(*pairs, _parent(near[0]) if near else std)
        score, scale = max(((radius_lattice(radii, scale), scale) for scale in scales), default=(0.0, 0.0))
        if score > NAMED:
            return proven(*scales[scale], ranked)
        best = next(s.candidate for s in ranked if s.candidate.distribution != "uniform")
        return drawn(best, ranked, 0.0).model_copy(update={"pristine": True})
    for plain in near[:TRIED]:
        cut = plain.bound if plain.distribution == "truncated_normal" else 2.0
        if truncated_lattice(evidence.sample, _parent(plain), cut) > PROVEN:
            return proven(plain, 1.0, ranked)
    return None


def _stretches(evidence: Evidence) -> np.ndarray:
    """Consecutive elements from a few places, each starting at a multiple of 16 as a generator's blocks do."""
    size = evidence.moments.view.size
    if size <= STRETCHES * STRETCH:
        return whole(evidence.source.part(0, size))
    starts = [(size - STRETCH) * i // (STRETCHES - 1) // 16 * 16 for i in range(STRETCHES)]
    return np.concatenate([whole(evidence.source.part(start, start + STRETCH)) for start in starts])


def _transposed_pairs(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of a matrix that was drawn as (out, in) and is stored as (in, out)."""
    inputs = evidence.shape[0]
    corner = line_sample(evidence.source, 40, 64, spread=False)
    depth, width = corner.shape
    if depth < 16:
        return np.zeros(0), np.zeros(0)
    line, unit = np.meshgrid(np.arange(depth - 8), np.arange(width), indexing="ij")
    first = (unit * inputs + line) % 16 < 8
    matrix = corner.astype(np.float64)
    return matrix[:-8][first], matrix[8:][first]


def _parent(candidate: Candidate) -> float:
    """The standard deviation before any truncation."""
    return candidate.bound / 2 if candidate.distribution == "truncated_normal" else candidate.std
