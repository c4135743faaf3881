"""Scaled weight standardisation, as a start."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from initadvisor.initializers.registry import matrix_method


def _std(out: int, in_: int, kernel: tuple[int, ...], *, gain: float = 1.0) -> float:
    return gain / sqrt(max(in_ * prod(kernel), 1))


@matrix_method("standardised_normal", std=_std)
def standardised_normal(
    rng: np.random.Generator, out: int, in_: int, kernel: tuple[int, ...], *, gain: float = 1.0
) -> np.ndarray:
    """Normal rows made exactly of mean 0 and variance gain^2 / fan_in.

    Formula: W = gain (V - mean V) / (std V sqrt(fan_in)) for each output, V ~ N(0, 1).
    Use: normalizer-free networks, which keep this up in training by reparametrization; gain 1.7129 for ReLU, where the
        mean of the activation is taken off by the next layer's zero-mean rows.
    Caveat: a fan_in of 1 leaves nothing but the mean, so such rows (depthwise 1x1) get +-gain instead.
    Source: Brock et al. 2021, arXiv 2101.08692 and 2102.06171.
    """
    columns = in_ * int(np.prod(kernel))
    rows: np.ndarray = rng.standard_normal((out, columns))
    if columns == 1:
        rows = np.sign(rows)
    else:
        rows = rows - rows.mean(axis=1, keepdims=True)
        rows = rows / (rows.std(axis=1, keepdims=True) * columns**0.5)
    return gain * rows.reshape(out, in_, *kernel)
