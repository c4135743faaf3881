"""From words to uniform, normal and truncated normal deviates: numpy, in place, in chunks that stay in cache.

Element i of a draw depends on the key and i alone, so any range of a tensor can be drawn without the rest. The three
functions write float32; another dtype is drawn in chunks and converted (`draws.region`).
"""

from __future__ import annotations

from collections.abc import Callable
from math import erf, sqrt
from typing import Any

import numpy as np

from initadvisor.initializers.draws import constants as c
from initadvisor.initializers.draws.words import WordStream

Array = np.ndarray[Any, np.dtype[Any]]
Fill = Callable[[WordStream, int, Array, float, "Workspace"], None]
"""fill(stream, start, out, scale, workspace): write elements [start, start + len(out)), scaled, into float32 `out`."""


class Workspace:
    """Scratch arrays of one thread for draws of up to `elements` at a time, so that no pass allocates."""

    def __init__(self, elements: int = c.PAIRS) -> None:
        size = min(elements, c.PAIRS)
        self.floats = [np.empty(size, np.float32) for _ in range(4)]
        self.integers = np.empty(size, np.int32)


def fill_uniform(stream: WordStream, start: int, out: Array, scale: float, workspace: Workspace) -> None:
    """U(-scale, scale): 2^24 values, symmetric, bounds excluded."""
    for offset in range(0, len(out), c.PAIRS):
        part = out[offset : offset + c.PAIRS]
        _symmetric(stream.read(start + offset, len(part)), part, workspace)
        np.multiply(part, np.float32(scale), out=part)


def fill_normal(stream: WordStream, start: int, out: Array, scale: float, workspace: Workspace) -> None:
    """N(0, scale^2) by the transform of Box and Muller 1958; the largest deviate is 6.66 standard deviations."""
    end = start + len(out)
    for block in range(start - start % (2 * c.PAIRS), end, 2 * c.PAIRS):
        low, high = max(start - block, 0), min(end - block, 2 * c.PAIRS)
        cosines = (low, min(high, c.PAIRS))
        sines = (max(low - c.PAIRS, 0), high - c.PAIRS)
        parts = [span for span in (cosines, sines) if span[0] < span[1]]
        if len(parts) == 2 and sines[1] >= cosines[0]:
            parts = [(0, c.PAIRS)]
        for first, last in parts:
            radius, sine, cosine = _pairs(stream, block, first, last, scale, workspace)
            for (a, b), factor, shift in ((cosines, cosine, 0), (sines, sine, c.PAIRS)):
                a, b = max(a, first), min(b, last)
                if a < b:
                    at, pick = block + shift + a - start, slice(a - first, b - first)
                    np.multiply(radius[pick], factor[pick], out=out[at : at + b - a])


def truncated_fill(cut: float) -> Fill:
    """The fill function of N(0, scale^2) cut at +-cut scale, by the inverse of the cumulative distribution.

    Source: the change of variable v = -ln(1 - y^2) is that of Giles 2012, "Approximating the erfinv function".
    """
    span, limit = np.float32(central_mass(cut)), np.float32(cut)

    def fill(stream: WordStream, start: int, out: Array, scale: float, workspace: Workspace) -> None:
        for offset in range(0, len(out), c.PAIRS):
            part = out[offset : offset + c.PAIRS]
            y, v, t, z = (array[: len(part)] for array in workspace.floats)
            _symmetric(stream.read(start + offset, len(part)), y, workspace)
            np.multiply(y, span, out=y)
            np.subtract(np.float32(1), y, out=v)
            np.add(y, np.float32(1), out=t)
            np.multiply(v, t, out=v)
            _minus_two_log(v, workspace.integers[: len(part)], v, t, z)
            np.multiply(v, np.float32(0.5), out=v)
            np.subtract(v, np.float32(c.QUANTILE_CENTRE), out=t)
            _horner(c.QUANTILE_SERIES, t, z)
            if cut > c.QUANTILE_CUT:
                far = np.flatnonzero(v > np.float32(c.QUANTILE_LIMIT))
                root = np.sqrt(v[far]) - np.float32(c.TAIL_CENTRE)
                tail = np.empty_like(root)
                _horner(c.TAIL_SERIES, root, tail)
                z[far] = tail
            np.multiply(y, z, out=z)
            np.minimum(z, limit, out=z)
            np.maximum(z, -limit, out=z)
            np.multiply(z, np.float32(scale), out=part)

    return fill


def central_mass(cut: float) -> float:
    """The probability that a standard normal lies within +-cut."""
    return erf(cut / sqrt(2.0))


def _symmetric(words: Array, out: Array, workspace: Workspace) -> None:
    """Words to odd multiples of 2^-24 in (-1, 1): exact, so that no rounding rule can make them differ."""
    integers = workspace.integers[: len(words)]
    np.right_shift(words.view(np.int32), c.UNIFORM_SHIFT, out=integers)
    np.bitwise_or(integers, 1, out=integers)
    np.copyto(out, integers, casting="unsafe")
    np.multiply(out, np.float32(c.UNIFORM_STEP), out=out)


def _pairs(
    stream: WordStream, block: int, first: int, last: int, scale: float, workspace: Workspace
) -> tuple[Array, Array, Array]:
    """Signed scaled radius, sine and cosine of pairs [first, last) of the block that starts at element `block`."""
    count = last - first
    radius, sine, t, square = (array[:count] for array in workspace.floats)
    integers = workspace.integers[:count]
    if count == c.PAIRS:
        words = stream.read(block, 2 * c.PAIRS)
        radii, angles = words[: c.PAIRS], words[c.PAIRS :]
    else:
        radii = stream.read(block + first, count)
        angles = stream.read(block + c.PAIRS + first, count)

    np.bitwise_or(radii, 1, out=radii)
    np.copyto(radius, radii, casting="unsafe")
    np.multiply(radius, np.float32(c.WORD_STEP), out=radius)
    _minus_two_log(radius, integers, radius, t, square)
    np.sqrt(radius, out=radius)
    np.multiply(radius, np.float32(scale), out=radius)
    # The angle covers a half circle; the last bit of its word, as the sign of the radius, gives the other half.
    np.left_shift(angles, 31, out=radii)
    np.bitwise_xor(radius.view(np.uint32), radii, out=radius.view(np.uint32))

    np.right_shift(angles.view(np.int32), c.ANGLE_SHIFT, out=integers)
    np.copyto(t, integers, casting="unsafe")
    np.multiply(t, np.float32(c.UNIFORM_STEP), out=t)
    np.multiply(t, t, out=square)
    _horner(c.SINE_SERIES, square, sine)
    np.multiply(sine, t, out=sine)
    _horner(c.COSINE_SERIES, square, t)
    return radius, sine, t


def _minus_two_log(u: Array, integers: Array, out: Array, s: Array, m: Array) -> None:
    """-2 ln u for float32 u in (0, 1], never negative; `out` may be `u`; `integers`, `s` and `m` are overwritten."""
    np.subtract(u.view(np.int32), c.SQRT_HALF_BITS, out=integers)
    mantissa = m.view(np.int32)
    np.bitwise_and(integers, c.MANTISSA_MASK, out=mantissa)
    np.add(mantissa, c.SQRT_HALF_BITS, out=mantissa)
    np.right_shift(integers, c.EXPONENT_SHIFT, out=integers)
    np.copyto(out, integers, casting="unsafe")
    np.multiply(out, np.float32(c.MINUS_2_LN2), out=out)
    np.subtract(m, np.float32(1), out=s)
    np.add(m, np.float32(1), out=m)
    np.divide(s, m, out=s)
    square = integers.view(np.float32)
    np.multiply(s, s, out=square)
    _horner(c.LOG_SERIES, square, m)
    np.multiply(m, s, out=m)
    np.add(out, m, out=out)


def _horner(coefficients: tuple[float, ...], x: Array, out: Array) -> None:
    """The polynomial with the given coefficients (lowest first) at x, each step rounded to float32."""
    np.multiply(x, np.float32(coefficients[-1]), out=out)
    for coefficient in coefficients[-2:0:-1]:
        np.add(out, np.float32(coefficient), out=out)
        np.multiply(out, x, out=out)
    np.add(out, np.float32(coefficients[0]), out=out)
