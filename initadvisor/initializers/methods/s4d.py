"""S4D: diagonal state-space layers."""

from __future__ import annotations

import numpy as np

from initadvisor.initializers.registry import array_method


@array_method("s4d_log_real")
def s4d_log_real(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The log of the negated real part of S4D-Lin's diagonal.

    Formula: A_n = -1/2 + i pi n, stored as ln(1/2) here.
    Use: the real part of S4D-Lin, with `s4d_imaginary`.
    Caveat: for layers that store log(-Re A).
    Source: Gu et al. 2022, arXiv 2206.11893.
    """
    return np.full(shape, np.log(0.5))


@array_method("s4d_imaginary")
def s4d_imaginary(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The imaginary part of S4D-Lin's diagonal; leading axes repeat it.

    Formula: A_n = -1/2 + i pi n, stored as pi n here.
    Use: with `s4d_log_real`.
    Caveat: none known.
    Source: Gu et al. 2022, arXiv 2206.11893.
    """
    return np.broadcast_to(np.pi * np.arange(shape[-1]), shape).copy()


@array_method("s4d_real")
def s4d_real(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The diagonal of S4D-Real; leading axes repeat it.

    Formula: A_n = -(n + 1).
    Use: layers with a real state that store A itself.
    Caveat: Mamba stores ln(-A) instead: see `mamba_a_log`.
    Source: Gu et al. 2022, arXiv 2206.11893.
    """
    return np.broadcast_to(-(np.arange(shape[-1]) + 1.0), shape).copy()
