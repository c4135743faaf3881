"""Sums and products of signals, with the covariance that shared ancestors give them."""

from __future__ import annotations

import math

from initadvisor.ops.moments.places import mixed
from initadvisor.ops.moments.places import product as profile_product
from initadvisor.ops.moments.signal import Signal

MAX_SOURCES = 32
"""Independent sources kept a value: a residual stream of more blocks forgets its smallest contributions."""


def covariance(a: Signal, b: Signal) -> float:
    """Covariance of two signals at the same element, from the sources that both depend on."""
    if len(b.sources) < len(a.sources):
        a, b = b, a
    shared = sum(value * b.sources[key] for key, value in a.sources.items() if key in b.sources)
    limit = math.sqrt(a.variance * b.variance)
    return min(max(shared, -limit), limit)


def _share(s: Signal, pair: float) -> float:
    """The correlation of two elements of one signal that differ in a role."""
    variance = s.variance
    return (pair - s.mean * s.mean) / variance if variance > 0 else 1.0


def _cross_pair(a: Signal, b: Signal, shared: float, pair_a: float, pair_b: float) -> float:
    """E[a b'] for elements that differ in a role: the covariance shrinks as both signals' own correlations do."""
    share = _share(a, pair_a) * _share(b, pair_b)
    return a.mean * b.mean + shared * math.copysign(math.sqrt(abs(share)), share)


def merged(a: dict[int, float], b: dict[int, float], scale_a: float = 1.0, scale_b: float = 1.0) -> dict[int, float]:
    """The sources of scale_a a + scale_b b, the smallest dropped where there are too many."""
    total = {key: value * scale_a for key, value in a.items()}
    for key, value in b.items():
        total[key] = total.get(key, 0.0) + value * scale_b
    if len(total) > MAX_SOURCES:
        kept = sorted(total, key=lambda key: abs(total[key]), reverse=True)[:MAX_SOURCES]
        total = {key: total[key] for key in kept}
    return total


def add(a: Signal, b: Signal, sign: float = 1.0) -> Signal:
    """a + sign b for signals of one shape."""
    shared = covariance(a, b)
    made = a.fresh(
        mean=a.mean + sign * b.mean,
        q=a.q + b.q + 2.0 * sign * (a.mean * b.mean + shared),
        features=a.features + b.features + 2.0 * sign * _cross_pair(a, b, shared, a.features, b.features),
        positions=a.positions + b.positions + 2.0 * sign * _cross_pair(a, b, shared, a.positions, b.positions),
        samples=a.samples + b.samples + 2.0 * sign * _cross_pair(a, b, shared, a.samples, b.samples),
        free=a.free and b.free,
        sources=merged(a.sources, b.sources, 1.0, sign),
        visible=min(a.visible, b.visible),
        places=mixed(a.places, b.places, a.q / max(a.q + b.q, 1e-300)),
    )
    made.q = max(made.q, made.mean * made.mean)
    return made


def multiply(a: Signal, b: Signal) -> Signal:
    """a b for signals of one shape, taken as jointly Gaussian as far as they share sources."""
    shared = covariance(a, b)
    lifted = a.mean * b.mean
    mean = lifted + shared

    def product(pair_a: float, pair_b: float, apart: float) -> float:
        # E[a a' b b'] for Gaussians with cov(a, b) = shared and cov(a, b') = apart (Isserlis), the means included
        return pair_a * pair_b + shared * shared + apart * apart + 2.0 * lifted * (shared + apart)

    if shared == 0.0:
        q, features = a.q * b.q, a.features * b.features
        positions, samples = a.positions * b.positions, a.samples * b.samples
    else:
        q = product(a.q, b.q, shared)
        features, positions, samples = (
            product(x, y, _cross_pair(a, b, shared, x, y) - lifted)
            for x, y in ((a.features, b.features), (a.positions, b.positions), (a.samples, b.samples))
        )
    return a.fresh(
        mean=mean,
        q=q,
        features=features,
        positions=positions,
        samples=samples,
        free=a.free and b.free,
        sources=merged(a.sources, b.sources, b.mean, a.mean),
        visible=min(a.visible, b.visible),
        places=profile_product(a.places, b.places)[0],
    )
