"""Verdicts in words of the facts: drawn, proven, trained, unknown."""

from __future__ import annotations

import numpy as np

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.fingerprint.candidates import Candidate
from initadvisor.analysis.fingerprint.evidence import Evidence
from initadvisor.analysis.fingerprint.likelihood import Scored

SHOWN = 0.05
"""Posterior from which another candidate is named as an alternative."""

SAME = 1e-6
"""Relative difference of standard deviations below which two candidates are one distribution."""

CLEAR = 8.0
"""z-score from which training is beyond doubt."""


def drawn(best: Candidate, ranked: list[Scored], score: float) -> DrawFacts:
    """The most probable candidate; its confidence is that of its method, whatever the fan mode."""
    share = sum(s.posterior for s in ranked if s.candidate.method == best.method)
    others = [s.candidate for s in ranked if s.posterior > SHOWN or _alike(s.candidate, best)]
    return _facts(best, 1.0, min(share, 1.0), score, others, pristine=False)


def proven(plain: Candidate, factor: float, ranked: list[Scored]) -> DrawFacts:
    """A candidate whose lattice was found; candidates of the very same distribution share the confidence."""
    same = [s.candidate for s in ranked if not s.free and _alike(s.candidate, plain)]
    best = max(same, key=lambda c: c.prior)
    share = sum(c.prior for c in same if c.method == best.method) / sum(c.prior for c in same)
    return _facts(best, factor, share, 0.0, same, pristine=True)


def trained(std: float, score: float, instead: str, reason: str, confidence: float | None = None) -> DrawFacts:
    """Not an independent draw any more; `instead` is the draw that comes closest."""
    return DrawFacts(
        method="trained", family="trained", distribution="other", mode="none", std=std, trained=True,
        confidence=confidence if confidence is not None else (0.999 if score > CLEAR else 0.99),
        trained_score=score, departure=reason, alternatives=(instead,), pristine=False,
    )  # fmt: skip


def unknown(evidence: Evidence) -> DrawFacts:
    """Nothing can be said: too few elements, too few values, or hardly a finite one."""
    return DrawFacts(method="unknown", family="unknown", distribution="other", mode="none", std=evidence.std)


def label(candidate: Candidate) -> str:
    """method/mode, or the method alone where no fan is involved."""
    return candidate.method if candidate.mode == "none" else f"{candidate.method}/{candidate.mode}"


def _facts(
    best: Candidate, factor: float, confidence: float, score: float, others: list[Candidate], *, pristine: bool
) -> DrawFacts:
    labels = dict.fromkeys(label(c) for c in others if label(c) != label(best))
    return DrawFacts(
        method=best.method, family=best.family, distribution=best.distribution, mode=best.mode, gain=best.gain,
        std=best.std * factor, bound=best.bound * factor if np.isfinite(best.bound) else None, confidence=confidence,
        trained=False, trained_score=score, pristine=pristine, alternatives=tuple(labels)[:6],
    )  # fmt: skip


def _alike(one: Candidate, other: Candidate) -> bool:
    return one.distribution == other.distribution and abs(one.std / other.std - 1) < SAME
