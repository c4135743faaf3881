"""From the evidence to a verdict: which initializer drew a tensor, or that training has moved it since."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.fingerprint.candidates import FOLDS, Candidate, candidates
from initadvisor.analysis.fingerprint.departures import TRAINED, departures
from initadvisor.analysis.fingerprint.evidence import Evidence
from initadvisor.analysis.fingerprint.goodness import distance, kurtosis_z
from initadvisor.analysis.fingerprint.lattice import (
    NAMED,
    PROVEN,
    angle_lattice,
    head_pairs,
    radius_lattice,
    truncated_lattice,
    uniform_lattice,
)
from initadvisor.analysis.fingerprint.likelihood import BOUND_SLACK, Scored, Statistics, posterior
from initadvisor.analysis.fingerprint.structured import NEARLY, line_products, structured
from initadvisor.analysis.tensors.sampling import line_sample, whole

CENTRED = 5.0
"""Standard errors within which a mean counts as that of the distribution."""

KS_SCALE = 2.5
"""Brings a Kolmogorov-Smirnov distance onto the scale of z-scores: 2.2 (one in 10,000) to `TRAINED`."""

LEAST = 4
"""Elements below which nothing is said about a tensor that is not constant."""

HEAD = 4096
"""Leading elements that are searched for pairs of a generator."""

TRIED = 4
"""Candidates whose inverse error function is searched for a lattice."""

FLAT = 2.1
"""Kurtosis between that of a uniform (1.8) and that of a normal cut at two standard deviations (2.37)."""

SHOWN = 0.05
"""Posterior from which another candidate is named as an alternative."""

SAME = 1e-6
"""Relative difference of standard deviations below which two candidates are one distribution."""


def fingerprint(evidence: Evidence) -> DrawFacts:
    """Name the initializer that drew a tensor, with its gain, fan mode and standard deviation, or say "trained".

    The verdict is that of one tensor by itself; `settle` weighs it against the other tensors of the model.
    """
    if evidence.count < LEAST and evidence.moments.low != evidence.moments.high:
        return _unknown(evidence)
    if evidence.moments.low > evidence.moments.high or evidence.count * 2 < evidence.moments.view.size:
        return _unknown(evidence)
    found = structured(evidence)
    if found is not None:
        return found
    if not evidence.std > 0 or not np.isfinite(evidence.std):
        return _unknown(evidence)
    centre = _centre(evidence)
    seen = Statistics(
        evidence.count,
        evidence.std**2 + (evidence.mean - centre) ** 2,
        max(abs(evidence.moments.low - centre), abs(evidence.moments.high - centre)),
        BOUND_SLACK.get(evidence.source.dtype, 0.1),
    )
    ranked = posterior(candidates(evidence.shape, evidence.place), seen)
    if centre == 0.0:
        exact = _pristine(evidence, ranked)
        if exact is not None:
            return exact
    best = ranked[0]
    score, reason = _evidence_of_training(evidence, best, centre)
    if score > TRAINED:
        return trained(evidence.std, score, _label(best.candidate), reason)
    if best.free and len(evidence.shape) < 2 and evidence.count >= 16:
        return trained(evidence.std, score, _label(best.candidate), "scale", 0.7)
    return _drawn(best.candidate, ranked, score)


def trained(std: float, score: float, instead: str, reason: str, confidence: float | None = None) -> DrawFacts:
    """The verdict "trained": not an independent draw any more; `instead` is the draw that comes closest."""
    return DrawFacts(
        method="trained", family="trained", distribution="other", mode="none", std=std, trained=True,
        confidence=confidence if confidence is not None else (0.999 if score > 8.0 else 0.99),
        trained_score=score, departure=reason, alternatives=(instead,), pristine=False,
    )  # fmt: skip


def _unknown(evidence: Evidence) -> DrawFacts:
    return DrawFacts(method="unknown", family="unknown", distribution="other", mode="none", std=evidence.std)


def _centre(evidence: Evidence) -> float:
    """The location of the draw: 0, or 1 for the weight of a norm, or else whatever the mean is."""
    error = evidence.std / sqrt(evidence.count)
    for centre in (0.0, 1.0):
        if abs(evidence.mean - centre) <= CENTRED * error:
            return centre
    if evidence.moments.low >= 0.0 and abs(evidence.mean - evidence.moments.high / 2) <= CENTRED * error:
        return (evidence.moments.low + evidence.moments.high) / 2
    return evidence.mean


def _pristine(evidence: Evidence, ranked: list[Scored]) -> DrawFacts | None:
    """The draw, where the elements lie exactly on the lattice of a generator."""
    if evidence.count < 64 or evidence.source.dtype not in ("float32", "float64"):
        return None
    # Past a few draws the largest of n lies within 30 / n of the bound.
    least = evidence.moments.absmax / (1 - min(30 / evidence.count, 0.5)) if evidence.kurtosis < FLAT else 0.0
    for plain in [s.candidate for s in ranked if not s.free]:
        if plain.distribution == "uniform":
            for factor in FOLDS:
                bound = plain.bound * factor
                possible = evidence.moments.absmax <= bound * (1 + 1e-6) and bound <= least
                if possible and uniform_lattice(evidence.sample, bound) > PROVEN:
                    return _proven(plain, factor, ranked)
    return _pristine_normal(evidence, ranked) if evidence.kurtosis > FLAT or evidence.count < 1000 else None


def _pristine_normal(evidence: Evidence, ranked: list[Scored]) -> DrawFacts | None:
    head = whole(evidence.source.part(0, min(HEAD, evidence.moments.view.size)))
    pairs = head_pairs(head)
    angles = angle_lattice(*pairs)
    if angles <= PROVEN and len(evidence.shape) == 2:
        pairs = transposed_pairs(evidence)
        angles = angle_lattice(*pairs)
    std = sqrt(evidence.std**2 + evidence.mean**2)
    near = [s.candidate for s in ranked if not s.free and s.candidate.distribution != "uniform"]
    near = [c for c in near if abs(c.std / std - 1) < 5 / sqrt(2 * evidence.count) + 1e-3]
    if angles > PROVEN:
        found = [(radius_lattice(*pairs, parent(c) * fold), c, fold) for c in near for fold in FOLDS]
        score, plain, fold = max(found, key=lambda f: f[0], default=(0.0, None, 1.0))
        if plain is not None and score > NAMED:
            return _proven(plain, fold, ranked)
        best = next(s.candidate for s in ranked if s.candidate.distribution != "uniform")
        return _drawn(best, ranked, 0.0).model_copy(update={"pristine": True})
    for plain in near[:TRIED]:
        cut = plain.bound if plain.distribution == "truncated_normal" else 2.0
        if truncated_lattice(evidence.sample, parent(plain), cut) > PROVEN:
            return _proven(plain, 1.0, ranked)
    return None


def parent(candidate: Candidate) -> float:
    """The standard deviation before any truncation."""
    return candidate.bound / 2 if candidate.distribution == "truncated_normal" else candidate.std


def transposed_pairs(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of a matrix that was drawn as (out, in) and is stored as (in, out)."""
    inputs, outputs = evidence.shape
    depth, width = min(inputs, 64), min(outputs, 64)
    if depth < 16:
        return np.zeros(0), np.zeros(0)
    corner = np.stack([whole(evidence.source.part(i * outputs, i * outputs + width)) for i in range(depth)])
    line, unit = np.meshgrid(np.arange(depth - 8), np.arange(width), indexing="ij")
    first = (unit * inputs + line) % 16 < 8
    matrix = corner.astype(np.float64)
    return matrix[:-8][first], matrix[8:][first]


def _evidence_of_training(evidence: Evidence, best: Scored, centre: float) -> tuple[float, str]:
    """The largest departure from an independent draw of the best candidate, and its name."""
    scores = departures(evidence)
    if centre != 0.0:
        scores.pop("mean", None)
    if evidence.sample.size >= 64:
        scores["distribution"] = _misfit(evidence, best.candidate, centre)
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
    lines = line_sample(evidence.source, 32, columns) if rows <= columns else (None if lines is None else lines.T)
    if lines is None:
        return None
    pairs = lines.shape[0] * (lines.shape[0] - 1) / 2
    square = line_products(lines)[2]
    return (1 - square) / sqrt(2 / pairs) if square < NEARLY else 0.0


def _drawn(best: Candidate, ranked: list[Scored], score: float) -> DrawFacts:
    """The most probable candidate; its confidence is that of its method, whatever the fan mode."""
    share = sum(s.posterior for s in ranked if s.candidate.method == best.method)
    others = [s.candidate for s in ranked if s.posterior > SHOWN or _alike(s.candidate, best)]
    return _facts(best, 1.0, min(share, 1.0), score, others, pristine=False)


def _proven(plain: Candidate, factor: float, ranked: list[Scored]) -> DrawFacts:
    """A candidate whose lattice was found; candidates of the very same distribution share the confidence."""
    same = [s.candidate for s in ranked if not s.free and _alike(s.candidate, plain)]
    best = max(same, key=lambda c: c.prior)
    share = sum(c.prior for c in same if c.method == best.method) / sum(c.prior for c in same)
    return _facts(best, factor, share, 0.0, same, pristine=True)


def _facts(
    best: Candidate, factor: float, confidence: float, score: float, others: list[Candidate], *, pristine: bool
) -> DrawFacts:
    labels = dict.fromkeys(_label(c) for c in others if _label(c) != _label(best))
    return DrawFacts(
        method=best.method, family=best.family, distribution=best.distribution, mode=best.mode, gain=best.gain,
        std=best.std * factor, bound=best.bound * factor if np.isfinite(best.bound) else None, confidence=confidence,
        trained=False, trained_score=score, pristine=pristine, alternatives=tuple(labels)[:6],
    )  # fmt: skip


def _alike(one: Candidate, other: Candidate) -> bool:
    return one.distribution == other.distribution and abs(one.std / other.std - 1) < SAME


def _label(candidate: Candidate) -> str:
    return candidate.method if candidate.mode == "none" else f"{candidate.method}/{candidate.mode}"
