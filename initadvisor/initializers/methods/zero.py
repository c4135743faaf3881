"""ZerO: a start of zeros and ones, without random numbers."""

from __future__ import annotations

from math import ceil, log2, prod, sqrt

import numpy as np

from initadvisor.initializers.methods.centre_tap import centre_tap
from initadvisor.initializers.registry import matrix_method


def hadamard_columns(rows: int, columns: int) -> np.ndarray:
    """The upper left (rows, columns) of Sylvester's Hadamard matrix: (-1)^(number of ones of i AND j)."""
    parity = np.arange(rows)[:, None] & np.arange(columns)[None, :]
    for shift in (32, 16, 8, 4, 2, 1):
        parity ^= parity >> shift
    return 1.0 - 2.0 * (parity & 1)


def _std(out: int, in_: int, kernel: tuple[int, ...]) -> float:
    field = prod(kernel)
    if out <= in_:
        return sqrt(1.0 / max(in_ * field, 1.0))
    return sqrt(0.5 ** ceil(log2(out)) / field)


@matrix_method("zero", std=_std, needs=(centre_tap, hadamard_columns))
def zero(rng: np.random.Generator, out: int, in_: int, kernel: tuple[int, ...]) -> np.ndarray:
    """A deterministic start: partial identity where the layer does not expand, Hadamard columns where it does.

    Formula: out <= in: I; out > in: I H I / 2^(c / 2) with c = ceil(log2 out), H the 2^c Hadamard matrix.
    Use: residual networks with normalization; reproducible without a seed.
    Caveat: the columns are orthonormal only where out is a power of 2. In a convolution it fills the centre tap. The
        exponent is that of the authors' code.
    Source: Zhao et al. 2021, arXiv 2110.12661.
    """
    matrix = np.eye(out, in_)
    if out > in_:
        matrix = hadamard_columns(out, in_) / 2.0 ** (np.ceil(np.log2(out)) / 2)
    return centre_tap(matrix, kernel)
