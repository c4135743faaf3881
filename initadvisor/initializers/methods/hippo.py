"""HiPPO-LegS: the state matrix that remembers by Legendre polynomials."""

from __future__ import annotations

import numpy as np

from initadvisor.initializers.registry import array_method


@array_method("hippo_legs")
def hippo_legs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The state matrix A of a HiPPO-LegS memory; leading axes repeat it.

    Formula: A[n, k] = -sqrt((2n + 1)(2k + 1)) for n > k, -(n + 1) for n = k, 0 for n < k.
    Use: state-space layers; A is usually kept in a structured form.
    Caveat: not normal: diagonalising it is numerically unstable, which is what S4D avoids.
    Source: Gu et al. 2020, arXiv 2008.07669.
    """
    n = np.arange(shape[-1], dtype=np.float64)
    root = np.sqrt(2.0 * n + 1.0)
    return np.broadcast_to(-np.tril(np.outer(root, root), -1) - np.diag(n + 1.0), shape).copy()


@array_method("hippo_input")
def hippo_input(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The input vector B of a HiPPO-LegS memory; leading axes repeat it.

    Formula: B[n] = sqrt(2n + 1).
    Use: with `hippo_legs`.
    Caveat: none known.
    Source: Gu et al. 2020, arXiv 2008.07669.
    """
    return np.broadcast_to(np.sqrt(2.0 * np.arange(shape[-1]) + 1.0), shape).copy()
