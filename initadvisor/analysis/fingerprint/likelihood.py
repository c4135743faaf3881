"""How well each candidate explains a tensor, from three sufficient statistics of all its elements.

For elements x about their centre: their number n, their second moment and their largest magnitude. The likelihood
of N(0, s^2), U(-b, b) and of a normal cut at b follows from these exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import erf, exp, inf, log, pi, sqrt

import numpy as np

from initadvisor.analysis.fingerprint.candidates import TWO_SIGMA, Candidate, candidates, normal, truncated, uniform
from initadvisor.analysis.fingerprint.evidence import Place

BOUND_SLACK = {"float64": 1e-6, "float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}
"""By how much rounding to the storage type may carry an element over a bound, relative."""

SCALE_RANGE = 16.0
"""Natural logarithm of the range of standard deviations (1e-6 to 10) over which a free one is spread evenly."""

FREE_PRIOR = 0.05
"""Prior weight of a standard deviation that nobody named, against the weights in `candidates`."""

KEPT = 32
"""Named candidates that are looked at further."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """n, second moment and largest magnitude about the centre; `slack` is the rounding of the storage type."""

    count: int
    second: float
    magnitude: float
    slack: float


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its share of the posterior; `free` where its scale was fitted rather than named."""

    candidate: Candidate
    posterior: float
    free: bool


def log_likelihood(candidate: Candidate, seen: Statistics) -> float:
    """Log-density of all the elements under a candidate; -inf where one lies beyond its bound."""
    return float(_log_likelihoods(_Table((candidate,)), seen)[0])


def posterior(shape: tuple[int, ...], place: Place, seen: Statistics) -> list[Scored]:
    """The candidates that are possible, with the three distributions of free scale, most probable first."""
    table = _table(shape, place)
    scores = _log_likelihoods(table, seen) + table.log_prior
    free = _free(seen)
    best = max(float(scores.max(initial=-inf)), *(score for _, score in free))
    weights = np.exp(np.maximum(scores - best, -700.0))
    total = float(weights.sum()) + sum(exp(max(score - best, -700.0)) for _, score in free)
    order = np.argsort(-weights, kind="stable")[:KEPT]
    found = [Scored(table.named[i], float(weights[i]) / total, False) for i in order.tolist() if scores[i] > -inf]
    found += [Scored(c, exp(max(score - best, -700.0)) / total, True) for c, score in free if score > -inf]
    return sorted(found, key=lambda s: -s.posterior)


class _Table:
    """The numbers of a list of candidates as arrays."""

    __slots__ = ("bound", "cut", "flat", "log_prior", "log_scale", "named", "scale")

    def __init__(self, named: tuple[Candidate, ...]) -> None:
        self.named = named
        self.flat = np.array([c.distribution == "uniform" for c in named], bool)
        self.cut = np.array([c.distribution == "truncated_normal" for c in named], bool)
        self.bound = np.array([c.bound for c in named])
        self.scale = np.array([c.bound / 2 if c.distribution == "truncated_normal" else c.std for c in named])
        self.log_scale = np.log(self.scale)
        self.log_prior = np.log(np.array([c.prior for c in named]))


@lru_cache(maxsize=4096)
def _table(shape: tuple[int, ...], place: Place) -> _Table:
    return _Table(candidates(shape, place))


def _log_likelihoods(table: _Table, seen: Statistics) -> np.ndarray:
    each = table.log_scale + seen.second / (2 * table.scale**2) + 0.5 * log(2 * pi) + table.cut * log(erf(sqrt(2)))
    flat = np.log(2 * np.maximum(table.bound, seen.magnitude))
    score = -seen.count * np.where(table.flat, flat, each)
    return np.where(seen.magnitude > table.bound * (1 + seen.slack), -inf, score)


def _free(seen: Statistics) -> list[tuple[Candidate, float]]:
    """The best fit of each distribution with its scale left free, and its marginal likelihood times the prior."""
    n = max(seen.count, 1)
    std = sqrt(seen.second)
    width = sqrt(2 * pi) / sqrt(2 * n) / SCALE_RANGE
    gaussian = normal("normal", "fixed", "none", std, None, FREE_PRIOR)
    cut = truncated("truncated_normal", "fixed", "none", max(std, seen.magnitude * TWO_SIGMA / 2), None, FREE_PRIOR / 3)
    flat = uniform("uniform", "fixed", "none", seen.magnitude, None, FREE_PRIOR)
    return [
        (c, log_likelihood(c, seen) + log(min(w, 1.0)) + log(c.prior))
        for c, w in ((gaussian, width), (cut, width), (flat, 1.0 / n / SCALE_RANGE))
    ]
