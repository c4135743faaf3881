"""A matrix in the middle of a kernel, which several methods share."""

from __future__ import annotations

import numpy as np


def centre_tap(matrix: np.ndarray, kernel: tuple[int, ...]) -> np.ndarray:
    """The (out, in, *kernel) weight that is `matrix` in the middle of the kernel (index k // 2) and 0 elsewhere."""
    weight = np.zeros((*matrix.shape, int(np.prod(kernel))))
    middle = 0
    for k in kernel:
        middle = middle * k + k // 2
    weight[:, :, middle] = matrix
    return weight.reshape(*matrix.shape, *kernel)
