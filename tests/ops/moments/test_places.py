"""Profiles along spatial axes against sums written out."""

from __future__ import annotations

import numpy as np
import pytest

from initadvisor.ops.moments import places
from initadvisor.ops.moments.places import Window

WINDOWS = [
    Window(12, 12, 3, before=1),
    Window(9, 5, 3, stride=2, before=1),
    Window(7, 7, 5, before=2),
    Window(16, 16, 3, dilation=2, before=2),
    Window(10, 8, 3),
    Window(4, 2, 2, stride=2),
]


def pairs(window: Window) -> list[tuple[int, int]]:
    """(input, output) of every tap that falls on the input."""
    return [
        (o * window.stride + k * window.dilation - window.before, o)
        for o in range(window.out)
        for k in range(window.kernel)
        if 0 <= o * window.stride + k * window.dilation - window.before < window.length
    ]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_sums_over_windows_ahead_and_back_are_those_written_out(window: Window, seed: int) -> None:
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(0.5, 2.0, window.length), rng.uniform(0.5, 2.0, window.out)
    u, v = u / u.mean(), v / v.mean()
    summed, handed = np.zeros(window.out), np.zeros(window.length)
    for i, o in pairs(window):
        summed[o] += u[i]
        handed[i] += v[o]
    made, valid, _ = places.ahead((u,), (window,))
    assert made[0] == pytest.approx(summed / summed.mean())
    assert valid == pytest.approx(summed.mean() / window.kernel)
    back, landing = places.back((v,), (window,))
    assert back[0] == pytest.approx(handed / handed.mean())
    assert landing == pytest.approx(handed.sum() / (window.kernel * window.out))
    assert places.overlap((u,), (v,), (window,)) == pytest.approx(np.mean([u[i] * v[o] for i, o in pairs(window)]))


@pytest.mark.parametrize("size", [5, 12, 32])
def test_padded_convolutions_settle_on_the_cosine_that_a_chain_has(size: int) -> None:
    """The path graph's largest eigenvalue is 1 + 2 cos(pi / (n + 1)), its vector sin(i pi / (n + 1))."""
    window = Window(size, size, 3, before=1)
    profile: places.Profile = ()
    for _ in range(4 * size * size // 10 + 60):
        profile, valid, pair = places.ahead(profile, (window, window))
    expected = np.sin(np.arange(1, size + 1) * np.pi / (size + 1))
    assert profile[0] == pytest.approx(expected / expected.mean(), rel=1e-3)
    assert valid == pytest.approx(((1 + 2 * np.cos(np.pi / (size + 1))) / 3) ** 2, rel=1e-4)
    assert pair <= valid * 1.02


def test_flat_profiles_without_padding_stay_flat_and_lose_nothing() -> None:
    made, valid, pair = places.ahead((), (Window(10, 8, 3),))
    assert made[0] == pytest.approx(np.ones(8))
    assert (valid, pair) == pytest.approx((1.0, 1.0))


def test_sums_and_products_of_profiles() -> None:
    u, v = np.array([0.5, 1.5]), np.array([1.5, 0.5])
    assert places.mixed((u,), (v,), 0.5)[0] == pytest.approx([1.0, 1.0])
    assert places.mixed((u,), (), 0.25)[0] == pytest.approx([0.875, 1.125])
    assert places.mixed((u,), (np.ones(3),), 0.5) == ()
    profile, mean = places.product((u,), (v,))
    assert (profile[0][0], mean) == pytest.approx((1.0, 0.75))
    assert places.raised((u,), 2.0)[0] == pytest.approx([0.2, 1.8])
