"""Matrices whose rows or columns come in pairs of opposite sign."""

from __future__ import annotations

import numpy as np

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.tensors.sampling import whole
from initadvisor.graph import TensorSource

MIRRORED = DrawFacts(
    method="mirrored_orthogonal", family="orthogonal", distribution="orthogonal", mode="none", confidence=1.0,
    trained=False,
)  # fmt: skip

LARGEST = 1 << 24
"""Elements of a matrix that is looked at: such starts are for narrow networks."""

_ROUNDING = 1e-4
"""Mean over standard deviation below which pairs are looked for: they cancel but for rounding to half precision."""


def is_mirrored(source: TensorSource, shape: tuple[int, ...], mean: float | None, std: float | None) -> bool:
    """Whether one half of a matrix, along either axis, is the other one with the opposite sign, bit by bit.

    mean, std: of its elements; they spare nearly every other matrix the look. An odd last line has no opposite.
    """
    if len(shape) != 2 or min(shape) < 2 or mean is None or not std or np.prod(shape) > LARGEST:
        return False
    odd = any(size % 2 for size in shape)
    if not odd and abs(mean) > _ROUNDING * std:
        return False
    matrix = np.asarray(whole(source)).reshape(shape)
    return any(_opposite(one) for one in (matrix, matrix.T))


def _opposite(matrix: np.ndarray) -> bool:
    half = (len(matrix) + 1) // 2
    rest = len(matrix) - half
    return bool(rest) and bool(np.array_equal(matrix[:rest], -matrix[half:]))
