"""Looks-linear: orthogonal matrices whose units come in pairs of opposite sign."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from initadvisor.initializers.methods.centre_tap import centre_tap
from initadvisor.initializers.methods.orthogonal import orthonormal
from initadvisor.initializers.registry import matrix_method


def _std(out: int, in_: int, kernel: tuple[int, ...], *, gain: float = 1.0, sides: str = "both") -> float:
    # Exact for even sizes; where the last unit has no opposite, true on average over the draws.
    rows = (out + 1) // 2 if sides != "columns" else out
    columns = (in_ + 1) // 2 if sides != "rows" else in_
    return gain * sqrt(max(1.0, rows / columns) / (max(rows, columns) * prod(kernel)))


@matrix_method("mirrored_orthogonal", std=_std, needs=(centre_tap, orthonormal))
def mirrored_orthogonal(
    rng: np.random.Generator,
    out: int,
    in_: int,
    kernel: tuple[int, ...],
    *,
    gain: float = 1.0,
    sides: str = "both",
) -> np.ndarray:
    """Looks-linear weights: a stack of rectifiers that is an orthogonal linear map at the start, however deep.

    Formula: [[A, -A], [-A, A]], A = gain Q with Q orthogonal, times sqrt(out / in) where it widens. `sides`: "rows",
        [A; -A], for the first layer; "both" for those between; "columns", [A, -A], for the one behind the last
        rectifier. As f(z) - f(-z) = z for ReLU, GELU, SiLU, Hardswish and softplus, the pairs pass z on unchanged.
    Use: plain stacks that are too deep for their width, where the noise of independent units adds up.
    Caveat: units i and i + out / 2 are a pair: nothing between two layers may mix or reorder them. Biases are zero, a
        kernel holds the matrix in its centre tap, an odd last unit stays without its opposite.
    Source: Balduzzi et al. 2017, "The Shattered Gradients Problem", arXiv 1702.08591.
    """
    rows = (out + 1) // 2 if sides != "columns" else out
    columns = (in_ + 1) // 2 if sides != "rows" else in_
    matrix = gain * max(1.0, rows / columns) ** 0.5 * orthonormal(rng, rows, columns)
    if sides != "rows":
        matrix = np.concatenate([matrix, -matrix], axis=1)[:, :in_]
    if sides != "columns":
        matrix = np.concatenate([matrix, -matrix], axis=0)[:out]
    return centre_tap(matrix, kernel)
