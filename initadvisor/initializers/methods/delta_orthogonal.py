"""Delta-orthogonal convolutions: an orthogonal matrix in the centre tap."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from initadvisor.initializers.methods.centre_tap import centre_tap
from initadvisor.initializers.methods.orthogonal import orthonormal
from initadvisor.initializers.registry import matrix_method


def _std(out: int, in_: int, kernel: tuple[int, ...], *, gain: float = 1.0, unit_variance: bool = False) -> float:
    scale = gain * sqrt(max(1.0, out / in_)) if unit_variance else gain
    return scale / sqrt(max(out, in_, 1) * prod(kernel))


@matrix_method("delta_orthogonal", std=_std, needs=(centre_tap, orthonormal))
def delta_orthogonal(
    rng: np.random.Generator,
    out: int,
    in_: int,
    kernel: tuple[int, ...],
    *,
    gain: float = 1.0,
    unit_variance: bool = False,
) -> np.ndarray:
    """A convolution that keeps the norm of its input exactly: gain Q in the centre tap, 0 elsewhere.

    Formula: K[:, :, centre] = gain Q with Q^T Q = I, all other taps 0.
    Use: plain convolution stacks of any depth; stride 1, odd kernels, out >= in.
    Caveat: with out < in the rows of Q are orthonormal instead: a projection, which keeps only part of the norm. With
        out > in the norm stays and the variance falls to in / out; `unit_variance` multiplies by sqrt(out / in).
    Source: Xiao et al. 2018, arXiv 1806.05393.
    """
    scale = gain * max(1.0, out / in_) ** 0.5 if unit_variance else gain
    return centre_tap(scale * orthonormal(rng, out, in_), kernel)
