"""Orthogonal matrices, rectangular and convolutional."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np

from initadvisor.initializers.code import number
from initadvisor.initializers.registry import matrix_method


def orthonormal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A (rows, columns) matrix, uniform among those with orthonormal columns (rows where it is wide)."""
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    # Without the signs of R's diagonal the draw is not uniform (Mezzadri 2007, math-ph/0609050).
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q if rows >= columns else q.T


def mean_free(matrix: np.ndarray) -> np.ndarray:
    """A matrix with one column more whose rows sum to 0 and keep their inner products (a Householder reflection)."""
    columns = matrix.shape[1] + 1
    mirror = np.full(columns, -(columns**-0.5))
    mirror[-1] += 1.0
    wide = np.hstack([matrix, np.zeros((len(matrix), 1))])
    return wide - np.outer(wide @ mirror, mirror) * (2.0 / (mirror @ mirror))


def _gain(out: int, columns: int, gain: float, unit_variance: bool) -> float:
    return gain * sqrt(max(1.0, out / columns)) if unit_variance else gain


def _std(
    out: int,
    in_: int,
    kernel: tuple[int, ...],
    *,
    gain: float = 1.0,
    unit_variance: bool = False,
    centred: bool = False,
) -> float:
    columns, taps = in_ * prod(kernel), prod(kernel)
    rank = min(out, columns - taps if centred and in_ > 1 else columns)
    return _gain(out, columns, gain, unit_variance) * sqrt(rank / max(out * columns, 1))


def _native(call: str) -> Any:
    def text(
        out: int,
        in_: int,
        kernel: tuple[int, ...],
        *,
        gain: float = 1.0,
        unit_variance: bool = False,
        centred: bool = False,
    ) -> str | None:
        if centred:
            return None
        return call.format(number(_gain(out, in_ * prod(kernel), gain, unit_variance)))

    return text


NATIVE = {
    "pytorch": _native("nn.init.orthogonal_(tensor, gain={})"),
    "keras": _native("keras.initializers.Orthogonal(gain={}, seed=SEEDS)"),
    "flax": _native("jax.nn.initializers.orthogonal(scale={})"),
}


@matrix_method("orthogonal", std=_std, needs=(orthonormal, mean_free), native=NATIVE)
def orthogonal(
    rng: np.random.Generator,
    out: int,
    in_: int,
    kernel: tuple[int, ...],
    *,
    gain: float = 1.0,
    unit_variance: bool = False,
    centred: bool = False,
) -> np.ndarray:
    """A matrix whose singular values are all `gain`; a kernel is flattened with the inputs.

    Formula: W = gain Q, Q from the QR decomposition of a Gaussian in float64 with the signs of diag(R) put right.
        `centred` draws Q among the matrices whose rows sum to 0, at every tap of a kernel by itself.
    Use: deep tanh and ReLU stacks (gain sqrt 2), recurrent matrices (gain 1). Centred behind activations whose mean is
        far from 0 (sigmoid, gain 4): their mean, the same for every input, then reaches no unit, nor at a padded edge.
    Caveat: an expanding layer gives E[y^2] = gain^2 in / out; `unit_variance` multiplies by sqrt(max(1, out / in)). A
        flattened kernel has orthogonal rows but the convolution is no isometry: see `delta_orthogonal`.
    Source: Saxe et al. 2013, arXiv 1312.6120; the centred form is this package's.
    """
    columns = in_ * int(np.prod(kernel))
    scale = gain * max(1.0, out / columns) ** 0.5 if unit_variance else gain
    if centred and in_ > 1:
        taps = columns // in_
        narrow = orthonormal(rng, out, columns - taps).reshape(out, in_ - 1, taps)
        weight = np.stack([mean_free(narrow[:, :, tap]) for tap in range(taps)], axis=2)
    else:
        weight = orthonormal(rng, out, columns)
    return scale * weight.reshape(out, in_, *kernel)
