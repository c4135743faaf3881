"""EOI: matrices that are exactly orthogonal and sparse at once."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from initadvisor.initializers.methods.centre_tap import centre_tap
from initadvisor.initializers.registry import matrix_method


def rotated_identity(rng: np.random.Generator, rows: int, columns: int, density: float) -> np.ndarray:
    """A (rows, columns) partial identity times random plane rotations until `density` of it is not zero."""
    size, width = max(rows, columns), min(rows, columns)
    matrix = np.eye(size, width)
    filled, target = width, density * size * width
    while filled < target:
        first, second, angles = rng.integers(size, size=size), rng.integers(size, size=size), rng.random(size)
        for i, j, turn in zip(first.tolist(), second.tolist(), (2 * np.pi * angles).tolist(), strict=True):
            if i == j:
                continue
            before = matrix[[i, j]]
            matrix[i] = np.cos(turn) * before[0] - np.sin(turn) * before[1]
            matrix[j] = np.sin(turn) * before[0] + np.cos(turn) * before[1]
            added = int(np.count_nonzero(matrix[[i, j]])) - int(np.count_nonzero(before))
            if filled + added >= target:
                # Of the last two, keep the one whose density is closer to the wanted one.
                if filled + added - target > target - filled:
                    matrix[[i, j]] = before
                return matrix if rows >= columns else matrix.T
            filled += added
    return matrix if rows >= columns else matrix.T


def _std(out: int, in_: int, kernel: tuple[int, ...], *, density: float = 0.125, gain: float = 1.0) -> float:
    return gain / sqrt(max(out, in_, 1) * prod(kernel))


@matrix_method("sparse_orthogonal", std=_std, needs=(centre_tap, rotated_identity))
def sparse_orthogonal(
    rng: np.random.Generator,
    out: int,
    in_: int,
    kernel: tuple[int, ...],
    *,
    density: float = 0.125,
    gain: float = 1.0,
) -> np.ndarray:
    """Exact orthogonal initialization: `density` of the elements are not zero, all singular values are `gain`.

    Formula: W = gain (product of Givens rotations in random planes by random angles) I, stopped at the density.
    Use: sparse training from scratch, where the zeros are the mask; plain stacks of hundreds of layers.
    Caveat: a density below 1 / max(out, in) gives the partial identity. In a convolution the matrix sits in the centre
        tap, as in `delta_orthogonal`, and the density is that of the tap. Rotations act on the longer side.
    Source: Nowak et al. 2024, "Sparser, Better, Deeper, Stronger", arXiv 2406.01755.
    """
    return centre_tap(gain * rotated_identity(rng, out, in_, density), kernel)
