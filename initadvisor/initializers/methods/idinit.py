"""IDInit: identity tiled over a non-square matrix."""

from __future__ import annotations

import numpy as np

from initadvisor.initializers.registry import matrix_method


def _rms(out: int, in_: int, kernel: tuple[int, ...], *, tau: float = 1.0, loose: float = 0.0) -> float:
    columns = in_ * int(np.prod(kernel))
    ones = out if out >= columns else min(out, columns)
    return float((ones * (tau * tau + loose * loose) / max(out * columns, 1)) ** 0.5)


@matrix_method("idinit", std=_rms)
def idinit(
    rng: np.random.Generator,
    out: int,
    in_: int,
    kernel: tuple[int, ...],
    *,
    tau: float = 1.0,
    loose: float = 0.0,
) -> np.ndarray:
    """An identity repeated down a tall matrix, so that every output copies some input.

    Formula: W[m, j] = tau where m = j modulo the number of columns, else 0; a kernel is flattened with the inputs.
        `loose` > 0 draws each of those elements from N(tau, loose^2), which breaks ties between copies.
    Use: residual networks without normalization, the layers inside a branch; with momentum.
    Caveat: the rule as written tiles a tall matrix and truncates a wide one. The paper's tau for each activation was
        not confirmed against its code.
    Source: Pan et al. 2025, "IDInit", ICLR 2025, arXiv 2503.04626.
    """
    columns = in_ * int(np.prod(kernel))
    weight = np.zeros((out, columns))
    rows = np.arange(out if out >= columns else min(out, columns))
    weight[rows, rows % columns] = tau + (loose * rng.standard_normal((len(rows),)) if loose else 0.0)
    return weight.reshape(out, in_, *kernel)


def _zero_rms(out: int, in_: int, kernel: tuple[int, ...], *, epsilon: float = 1e-6) -> float:
    return _rms(out, in_, kernel, tau=epsilon)


@matrix_method("idinit_zero", std=_zero_rms)
def idinit_zero(
    rng: np.random.Generator, out: int, in_: int, kernel: tuple[int, ...], *, epsilon: float = 1e-6
) -> np.ndarray:
    """IDInit's last layer of a branch: nearly zero, but with a gradient for the layers before it.

    Formula: W[m, j] = +-epsilon where m = j modulo the number of columns, the sign alternating with m, else 0.
    Use: the last layer of a residual branch whose other layers are drawn by `idinit`.
    Caveat: the alternation is our reading of "mean 0": the paper's exact pattern was not confirmed.
    Source: Pan et al. 2025, "IDInit", ICLR 2025, arXiv 2503.04626.
    """
    columns = in_ * int(np.prod(kernel))
    weight = np.zeros((out, columns))
    rows = np.arange(out if out >= columns else min(out, columns))
    weight[rows, rows % columns] = epsilon * np.where(rows % 2, -1.0, 1.0)
    return weight.reshape(out, in_, *kernel)
