"""How much of its row one softmax weight takes, for Gaussian logits."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

_TIMES = np.exp(np.linspace(-30.0, 12.0, 241))
_STEP = math.log(_TIMES[1] / _TIMES[0])
_LOGITS, _LOGIT_WEIGHTS = np.polynomial.hermite_e.hermegauss(96)
_LOGIT_WEIGHTS = _LOGIT_WEIGHTS / _LOGIT_WEIGHTS.sum()


def concentration(variance: float, n: int) -> float:
    """n E[sum a^2] for softmax weights a over n independent Gaussian logits: 1 for equal weights, n for one alone."""
    return _concentration(float(f"{variance:.3g}"), n) if variance > 0.0 and n > 1 else 1.0


@lru_cache(maxsize=4096)
def _concentration(variance: float, n: int) -> float:
    return float(min(max(n * _participation(variance, np.array([float(n)]))[0], 1.0), n))


def causal_concentration(variance: float, n: int) -> float:
    """n times the mean of E[sum a^2] over rows that see 1, 2 ... n tokens."""
    return _causal_concentration(float(f"{max(variance, 0.0):.3g}"), n) if n > 1 else 1.0


@lru_cache(maxsize=4096)
def _causal_concentration(variance: float, n: int) -> float:
    rows = np.unique(np.round(np.geomspace(1.0, n, 24)))
    values = _participation(variance, rows) if variance > 0.0 else 1.0 / rows
    every = np.arange(1.0, n + 1.0)
    return float(n * np.exp(np.interp(np.log(every), np.log(rows), np.log(values))).mean())


_STEEPEST = 6.0
"""Standard deviation of the logits up to which the quadrature holds for 32 logits and more; 1 + log2(n) for fewer."""


def _participation(variance: float, n: np.ndarray) -> np.ndarray:
    """E[sum of squared softmax weights] over n logits.

    Steep logits leave the two largest alone; what the second one takes falls as one over their standard deviation.
    """
    whole = math.sqrt(variance)
    holds = np.minimum(np.floor(1.0 + np.log2(np.maximum(n, 2.0))), _STEEPEST)
    found = np.empty_like(n)
    for limit in np.unique(holds):
        std = min(whole, float(limit))
        found[holds == limit] = 1.0 - (1.0 - _quadrature(std, n[holds == limit])) * (std / whole)
    return found


def _quadrature(std: float, n: np.ndarray) -> np.ndarray:
    """The same, exactly.

    1 / S^2 = int t exp(-t S) dt turns it into n int t E[x^2 exp(-t x)] E[exp(-t x)]^(n - 1) dt with x = exp(logit).
    """
    shift = _TIMES * math.exp(-std * 3.0)
    x = np.exp(std * _LOGITS)
    decay = np.exp(-np.outer(shift, x))
    first = decay @ (_LOGIT_WEIGHTS * x * x)
    rest = np.log(np.maximum(decay @ _LOGIT_WEIGHTS, 1e-300))
    integrand = (shift * shift * first)[:, None] * np.exp(rest[:, None] * (n - 1.0)[None, :])
    return np.asarray(np.clip(n * integrand.sum(axis=0) * _STEP, 1.0 / n, 1.0))
