"""How much second moment lies where along the spatial axes: zero padding leaves less at the borders, more inside.

A profile is one array an axis of mean 1, the second moment at (i, j) being q u_i v_j. Behind a few padded convolutions
both signal and gradient are largest inside, so that a weight collects more than the product of their averages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

Profile = tuple[np.ndarray, ...]
"""One array an axis, over the last axes of a tensor; empty where it is flat or not known."""


@dataclass(frozen=True, slots=True)
class Window:
    """Along one axis: sizes of input and output, taps, and the zeros in front."""

    length: int
    out: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0


@lru_cache(maxsize=1024)
def _taps(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Input index of every (tap, output), and whether it lies on the input."""
    index = (
        np.arange(window.out)[None, :] * window.stride
        + np.arange(window.kernel)[:, None] * window.dilation
        - window.before
    )
    inside = (index >= 0) & (index < window.length)
    return np.where(inside, index, 0), inside


def _fits(profile: Profile, windows: tuple[Window, ...], out: bool) -> Profile:
    """The profile, flat where there is none of these sizes."""
    sizes = [w.out if out else w.length for w in windows]
    if len(profile) == len(sizes) and all(u.size == n for u, n in zip(profile, sizes, strict=True)):
        return profile
    return tuple(_flat(n) for n in sizes)


@lru_cache(maxsize=256)
def _flat(n: int) -> np.ndarray:
    return np.ones(n)


def _normalised(u: np.ndarray) -> np.ndarray:
    return np.asarray(u / max(float(u.mean()), 1e-300))


def _same(windows: tuple[Window, ...], *profiles: Profile) -> bool:
    """Whether all axes are alike, so that one is enough."""
    return all(w == windows[0] for w in windows) and all(u is p[0] for p in profiles for u in p)


def ahead(profile: Profile, windows: tuple[Window, ...]) -> tuple[Profile, float, float]:
    """The profile behind a sum over windows, and what the taps find on the input.

    Returns the share of the second moment, and that of the mean product of two positions where this goes with the
    roots of both second moments.
    """
    u = _fits(profile, windows, out=False)

    def one(window: Window, along: np.ndarray) -> tuple[np.ndarray, float, float]:
        index, inside = _taps(window)
        found = along[index] * inside
        sums = found.sum(axis=0)
        made = _normalised(sums)
        pair = float(np.square(np.sqrt(found).mean(axis=1)).mean()) / max(float(np.sqrt(made).mean()) ** 2, 1e-300)
        return made, float(sums.mean()) / window.kernel, pair

    if _same(windows, u):
        made, valid, pair = one(windows[0], u[0])
        return (made,) * len(windows), valid ** len(windows), pair ** len(windows)
    parts = [one(w, along) for w, along in zip(windows, u, strict=True)]
    return tuple(made for made, _, _ in parts), prod(part[1] for part in parts), prod(part[2] for part in parts)


def back(profile: Profile, windows: tuple[Window, ...]) -> tuple[Profile, float]:
    """The profile of the inputs of windows from that of their outputs, and the share of it that lands on the input."""
    v = _fits(profile, windows, out=True)

    def one(window: Window, along: np.ndarray) -> tuple[np.ndarray, float]:
        index, inside = _taps(window)
        sums = np.bincount(index[inside], (along[None, :] * inside)[inside], window.length)
        return _normalised(sums), float(sums.sum()) / (window.kernel * window.out)

    if _same(windows, v):
        made, valid = one(windows[0], v[0])
        return (made,) * len(windows), valid ** len(windows)
    parts = [one(w, along) for w, along in zip(windows, v, strict=True)]
    return tuple(made for made, _ in parts), float(np.prod([valid for _, valid in parts]))


def overlap(profile: Profile, gradient: Profile, windows: tuple[Window, ...]) -> float:
    """Mean product of both profiles over the pairs of input and output that a tap joins."""
    u, v = _fits(profile, windows, out=False), _fits(gradient, windows, out=True)

    def one(window: Window, along: np.ndarray, against: np.ndarray) -> float:
        index, inside = _taps(window)
        return float((along[index] * inside * against[None, :]).sum() / max(int(inside.sum()), 1))

    if _same(windows, u, v):
        return one(windows[0], u[0], v[0]) ** len(windows)
    return float(np.prod([one(w, a, b) for w, a, b in zip(windows, u, v, strict=True)]))


def raised(profile: Profile, exponent: float) -> Profile:
    """The profile behind a function whose second moment grows with this power of that of its input."""
    if not profile or exponent == 1.0:
        return profile
    first = _normalised(np.maximum(profile[0], 1e-300) ** exponent)
    return tuple(first if u is profile[0] else _normalised(np.maximum(u, 1e-300) ** exponent) for u in profile)


def product(a: Profile, b: Profile) -> tuple[Profile, float]:
    """The profile of a product of independent factors, and what their common shape adds to its mean."""
    if not a or not b or len(a) != len(b) or any(u.size != v.size for u, v in zip(a, b, strict=True)):
        return a or b, 1.0
    if all(u is a[0] for u in a) and all(v is b[0] for v in b):
        both = a[0] * b[0]
        return (_normalised(both),) * len(a), float(both.mean()) ** len(a)
    made = [u * v for u, v in zip(a, b, strict=True)]
    return tuple(_normalised(u) for u in made), float(np.prod([u.mean() for u in made]))


def mixed(a: Profile, b: Profile, share: float) -> Profile:
    """The profile of a sum, `share` of whose second moment is that of the first term."""
    if not a and not b:
        return ()
    if a and b and (len(a) != len(b) or any(u.size != v.size for u, v in zip(a, b, strict=True))):
        return ()
    like = a or b
    first = a or tuple(_flat(u.size) for u in like)
    second = b or tuple(_flat(u.size) for u in like)
    if all(u is first[0] for u in first) and all(v is second[0] for v in second):
        return (share * first[0] + (1.0 - share) * second[0],) * len(first)
    return tuple(share * u + (1.0 - share) * v for u, v in zip(first, second, strict=True))
