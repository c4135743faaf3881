"""Proof that a tensor is still exactly what a random generator gave: its elements lie on the generator's lattice.

A single-precision generator makes its draws from integers of 24 bits. `Tensor.uniform_` maps k / 2**24 to the range,
so that small elements, which single precision resolves far finer than that, fall on a visible lattice (on the CPU
all of them, on CUDA the positive ones). `Tensor.normal_` on the CPU turns pairs of such numbers, eight places apart,
into radius and angle (Box and Muller, 1958). Older versions of `trunc_normal_` map them through the inverse error
function. One step of training moves every element off the lattice; so do half precision and other generators, so
that a miss proves nothing.

Each test answers with a standard normal variate under "no lattice"; `PROVEN` is its threshold.
"""

from __future__ import annotations

from math import erf, pi, sqrt

import numpy as np

PROVEN = 5.5
"""Threshold of a proof: a false alarm once in 5e7 tests, of which a tensor sees a few dozen at most."""

NAMED = 3.5
"""Threshold for telling, once a draw is proven, which standard deviation it had, among a few candidates."""

QUARTER = 0.2
"""Least score of a quarter of the elements over that of all; half of it is expected."""

WHOLE = 0.6
"""Least fall of the residual over that of an untouched draw: below, a part of the elements was moved."""

STEPS = float(1 << 24)

MOST = 1024
"""Elements that one test looks at."""

_NULL_MEAN, _NULL_STD = 0.25, 0.25 / sqrt(3)
"""Of the distance to the nearest integer of a number that knows nothing of the lattice."""


def uniform_lattice(sample: np.ndarray, bound: float) -> float:
    """Whether elements are bound * (2 k / 2**24 - 1); sample: elements from all over the tensor, in order."""
    values = sample[(sample > 0) & (sample < bound / 16)]
    values = values[:: -(-values.size // MOST) or 1].astype(np.float64)
    return _throughout(values / (2 * bound) * STEPS, 0.24)


def head_pairs(head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs that `Tensor.normal_` draws together; head: the first elements as drawn, in multiples of 16."""
    blocks = head[: head.size // 16 * 16].reshape(-1, 2, 8).astype(np.float64)
    return blocks[:, 0].ravel(), blocks[:, 1].ravel()


def angle_lattice(first: np.ndarray, second: np.ndarray) -> float:
    """Whether pairs have angles on the lattice: a normal draw of mean 0, whatever its scale."""
    held = (first != 0) & (second != 0)
    return _throughout(np.arctan2(second[held], first[held]) / (2 * pi) * STEPS, 0.065)


def sharp_radii(first: np.ndarray, second: np.ndarray, std: float) -> np.ndarray:
    """The squared radii that single precision carries to a fraction of a step: the largest and the smallest."""
    squares = first * first + second * second
    share = np.exp(squares / (-2 * std * std))
    kept: np.ndarray = squares[(share < 0.02) | (share > 0.95)]
    return kept


def radius_lattice(squares: np.ndarray, std: float) -> float:
    """Whether squared radii are on the lattice of the standard deviation `std`."""
    return _score(np.exp(squares / (-2 * std * std)) * STEPS)


def truncated_lattice(sample: np.ndarray, std: float, cut: float) -> float:
    """Whether elements are std * sqrt(2) * erfinv of a lattice over the probability within +-cut."""
    small = sample[np.abs(sample) < std / 16][:128].astype(np.float64)
    span = erf(cut / std / sqrt(2))
    shares = np.array([erf(value) for value in (small / (std * sqrt(2))).tolist()])
    return _throughout(shares / (2 * span) * STEPS, 0.1)


def _throughout(steps: np.ndarray, fall: float) -> float:
    """The score of elements in order; 0 where some of them stand apart, because a part of the tensor was moved.

    fall: by how much the mean residual of an untouched draw lies below that of no lattice.
    """
    total = _score(steps)
    if total <= PROVEN:
        return total
    quarters = [_score(part) for part in np.array_split(steps, 4)]
    seen = total * _NULL_STD / sqrt(steps.size)
    return total if min(quarters) > QUARTER * total and seen > WHOLE * fall else 0.0


def _score(steps: np.ndarray) -> float:
    if not steps.size:
        return 0.0
    return float((_NULL_MEAN - np.abs(steps - np.rint(steps)).mean()) / (_NULL_STD / sqrt(steps.size)))
