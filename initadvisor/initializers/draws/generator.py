"""A sequential reader for methods that draw a whole tensor at once: matrices, rotations, permutations."""

from __future__ import annotations

from math import prod

import numpy as np

from initadvisor.initializers.draws.deviates import Workspace, fill_normal
from initadvisor.initializers.draws.key import Key
from initadvisor.initializers.draws.words import WordStream


class KeyedGenerator:
    """Keyed counterpart of `numpy.random.Generator`, with the three methods that our matrix methods call.

    Emitted code runs the same methods on `numpy.random.default_rng(seed)`: only these names may be used there.
    """

    def __init__(self, key: Key) -> None:
        self._key = key
        self._draws = 0

    def standard_normal(self, size: tuple[int, ...]) -> np.ndarray:
        """N(0, 1) of that shape, float64 storage of float32 deviates."""
        out = np.empty(prod(size), np.float32)
        fill_normal(self._next(), 0, out, 1.0, Workspace(len(out)))
        return out.astype(np.float64).reshape(size)

    def random(self, size: int) -> np.ndarray:
        """U[0, 1) with 53 bits, float64."""
        words = self._next().read(0, 2 * size).astype(np.uint64)
        upper, lower = words[0::2] >> np.uint64(5), words[1::2] >> np.uint64(6)
        drawn: np.ndarray = np.ldexp(upper * 2.0**26 + lower, -53)
        return drawn

    def integers(self, high: int, *, size: int) -> np.ndarray:
        """Uniform integers in [0, high), for high below 2^31 (bias below high / 2^53)."""
        drawn: np.ndarray = np.floor(self.random(size) * high).astype(np.int64)
        return drawn

    def _next(self) -> WordStream:
        """A fresh stream for each call, so that no call's length changes another's numbers."""
        self._draws += 1
        return WordStream(self._key.child(str(self._draws)))
