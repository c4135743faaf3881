"""From the evidence to a verdict: which initializer drew a tensor, or that training has moved it since."""

from __future__ import annotations

from math import sqrt

import numpy as np

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.fingerprint.departures import KS_SCALE, TRAINED, evidence_of_training
from initadvisor.analysis.fingerprint.evidence import Evidence, by_block
from initadvisor.analysis.fingerprint.goodness import distance
from initadvisor.analysis.fingerprint.likelihood import BOUND_SLACK, Statistics, posterior
from initadvisor.analysis.fingerprint.pristine import pristine
from initadvisor.analysis.fingerprint.structured import structured
from initadvisor.analysis.fingerprint.verdicts import drawn, label, trained, unknown
from initadvisor.analysis.tensors.duplicates import distinct

REASONABLE = (1e-60, 1e60)
"""Largest magnitudes of a tensor that anything is said about: beyond, even double precision loses its squares."""

CENTRED = 5.0
"""Standard errors within which a mean counts as that of the distribution."""

LEAST = 4
"""Elements below which nothing is said about a tensor that is not constant."""

SPARSE = 0.05
"""Share of zeros from which they are taken as a draw of their own beside the distribution of the rest."""

FEW_VALUES = 0.1
"""Share of distinct among 4,096 non-zero elements below which a tensor is quantized: 8 bits give 0.06, bfloat16 0.3."""


def fingerprint(evidence: Evidence) -> DrawFacts:
    """Name the initializer that drew a tensor, with its gain, fan mode and standard deviation, or say "trained".

    The verdict is that of one tensor by itself; `settle` weighs it against the other tensors of the model.
    """
    if evidence.count < LEAST and evidence.moments.low != evidence.moments.high:
        return unknown(evidence)
    if evidence.moments.low > evidence.moments.high or evidence.count * 2 < evidence.moments.view.size:
        return unknown(evidence)
    low, high = REASONABLE
    if evidence.moments.low != evidence.moments.high and not low < evidence.moments.absmax < high:
        return unknown(evidence)
    found = structured(evidence)
    if found is not None:
        return found
    if not evidence.std > 0 or not np.isfinite(evidence.std) or _quantized(evidence):
        return unknown(evidence)
    if evidence.sample.size >= 64 and np.mean(evidence.sample == 0) > SPARSE:
        return _sparse(evidence)
    centre = _centre(evidence)
    seen = Statistics(
        evidence.count,
        evidence.std**2 + (evidence.mean - centre) ** 2,
        max(abs(evidence.moments.low - centre), abs(evidence.moments.high - centre)),
        BOUND_SLACK.get(evidence.source.dtype, 0.1),
    )
    ranked = posterior(evidence.shape, evidence.place, seen)
    if centre == 0.0:
        exact = pristine(evidence, ranked)
        if exact is not None:
            return exact
    best = ranked[0]
    score, reason = evidence_of_training(evidence, best.candidate, centre)
    if score > TRAINED and evidence.place.blocks:
        parts = [fingerprint(part) for part in by_block(evidence)]
        if parts and all(part.trained is False for part in parts):
            return parts[0]
    if score > TRAINED:
        return trained(evidence.std, score, label(best.candidate), reason)
    if best.free and len(evidence.shape) < 2 and evidence.count >= 16:
        return trained(evidence.std, score, label(best.candidate), "scale", 0.7)
    return drawn(best.candidate, ranked, score)


def _quantized(evidence: Evidence) -> bool:
    """Whether the elements are on a grid of few values, which hides what distribution they had."""
    sample = evidence.sample
    if sample.size < 1024:
        return False
    few = sample[:: max(sample.size // 4096, 1)]
    held = few[few != 0]
    return bool(distinct(held) < FEW_VALUES * held.size)


def _sparse(evidence: Evidence) -> DrawFacts:
    """A draw with a share of exact zeros: pruned or drawn sparse, told apart by the distribution of the rest."""
    held = evidence.sample[evidence.sample != 0].astype(np.float64)
    std = float(np.sqrt(np.mean(np.square(held)))) if held.size else 0.0
    misfit = KS_SCALE * distance(np.sort(held), "normal", std) if held.size >= 64 else 0.0
    if misfit > TRAINED:
        return trained(std, misfit, "sparse", "distribution")
    return DrawFacts(
        method="sparse", family="sparse", distribution="sparse", mode="none", std=std, confidence=0.5, trained=False,
        trained_score=misfit, pristine=False,
    )  # fmt: skip


def _centre(evidence: Evidence) -> float:
    """The location of the draw: 0, or 1 for the weight of a norm, or else whatever the mean is."""
    error = evidence.std / sqrt(evidence.count)
    for centre in (0.0, 1.0):
        if abs(evidence.mean - centre) <= CENTRED * error:
            return centre
    if evidence.moments.low >= 0.0 and abs(evidence.mean - evidence.moments.high / 2) <= CENTRED * error:
        return (evidence.moments.low + evidence.moments.high) / 2
    return evidence.mean
