"""Identity matrices and kernels: IRNN, dirac."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from initadvisor.initializers.methods.centre_tap import centre_tap
from initadvisor.initializers.registry import matrix_method


def _std(out: int, in_: int, kernel: tuple[int, ...], *, gain: float = 1.0) -> float:
    return gain * sqrt(min(out, in_) / max(out * in_ * prod(kernel), 1))


@matrix_method("identity", std=_std, needs=(centre_tap,))
def identity(rng: np.random.Generator, out: int, in_: int, kernel: tuple[int, ...], *, gain: float = 1.0) -> np.ndarray:
    """The (partial) identity; in a convolution the identity of each group in the centre tap, as torch's dirac_.

    Formula: W[i, i, centre] = gain, else 0.
    Use: the recurrent matrix of a ReLU RNN (IRNN, with zero bias); plain convolution stacks.
    Caveat: hidden units differ only through their inputs; with out > in the rest of the outputs is 0.
    Source: Le et al. 2015, arXiv 1504.00941; dirac: Zagoruyko and Komodakis 2017, arXiv 1706.00388.
    """
    return centre_tap(gain * np.eye(out, in_), kernel)
