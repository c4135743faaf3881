"""The deviates: their distribution, and that element i depends on nothing but key and i."""

from __future__ import annotations

from math import erf, exp, log, pi, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initadvisor.initializers.distributions import Constant, Normal, TruncatedNormal, Uniform
from initadvisor.initializers.draws import Key
from initadvisor.initializers.draws import constants as c

COUNT = 1 << 18
KEY = Key(5, "w")
DISTRIBUTIONS = [
    Normal(0.7),
    Normal(0.1, -2.0),
    Uniform(0.3),
    Uniform(0.3, 5.0),
    TruncatedNormal(0.2),
    TruncatedNormal(1.0, 0.5, cut=3.0),
    TruncatedNormal(1.0, cut=0.5),
    TruncatedNormal(2.0, cut=4.5),
    Constant(0.25),
]
ids = [d.describe() for d in DISTRIBUTIONS]


def draw(distribution, shape, dtype=np.float32, key=KEY, region=None, out=None):
    if out is None:
        out = np.empty(shape if region is None else np.empty(shape)[region].shape, dtype)
    distribution.draw(key, shape, out, region)
    return out


def cumulative(distribution, x):
    """The distribution's own CDF, from the error function."""
    z = (x - distribution.mean) / distribution.scale
    if isinstance(distribution, Uniform):
        return np.clip((z + 1) / 2, 0, 1)
    phi = np.vectorize(lambda v: 0.5 * (1 + erf(v / sqrt(2))))
    if isinstance(distribution, TruncatedNormal):
        low, high = phi(-distribution.cut), phi(distribution.cut)
        return (phi(z) - low) / (high - low)
    return phi(z)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS[:-1], ids=ids[:-1])
@pytest.mark.parametrize("seed", [0, 1, 2**70])
def test_the_empirical_distribution_is_the_asked_one(distribution, seed):
    sample = np.sort(draw(distribution, (COUNT,), key=Key(seed, "w")).astype(np.float64))
    distance = np.abs(cumulative(distribution, sample) - (np.arange(COUNT) + 0.5) / COUNT).max()
    # Kolmogorov: P(sqrt(n) D > 2.2) = 1.2e-4
    assert distance * sqrt(COUNT) < 2.2


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=ids)
def test_mean_and_std_are_the_declared_ones(distribution):
    sample = draw(distribution, (COUNT,)).astype(np.float64)
    assert abs(sample.mean() - distribution.mean) <= 5 * distribution.std / sqrt(COUNT)
    assert sample.std() == pytest.approx(distribution.std, rel=0.01)


def test_neighbours_and_the_two_halves_of_a_pair_are_uncorrelated():
    z = draw(Normal(1.0), (4 * c.PAIRS,)).astype(np.float64)
    for lag in (1, 2, 8, c.PAIRS):
        a, b = z[:-lag], z[lag:]
        for f in (lambda x: x, np.square, np.abs):
            assert abs(np.corrcoef(f(a), f(b))[0, 1]) < 5 / sqrt(len(a))


def test_normal_moments_up_to_the_sixth():
    z = draw(Normal(1.0), (1 << 20,)).astype(np.float64)
    for power, (moment, variance) in {2: (1, 2), 3: (0, 15), 4: (3, 96), 6: (15, 10170)}.items():
        assert abs((z**power).mean() - moment) < 5 * sqrt(variance / len(z))


def test_uniform_is_symmetric_and_never_reaches_its_bound():
    x = draw(Uniform(1.0), (COUNT,)).astype(np.float64)
    assert (np.abs(x) < 1).all()
    assert (x * 2**24 % 2 == 1).all()


@pytest.mark.parametrize("cut", [0.1, 1.0, 2.0, 3.0, 3.5, 5.0])
def test_truncated_normal_stays_inside_its_cut_and_has_the_std_it_was_asked_for(cut):
    x = draw(TruncatedNormal(0.02, cut=cut), (COUNT,)).astype(np.float64)
    distribution = TruncatedNormal(0.02, cut=cut)
    assert np.abs(x).max() <= distribution.bound * (1 + 1e-6)
    assert x.std() == pytest.approx(0.02, rel=0.01)
    density = exp(-cut * cut / 2) / sqrt(2 * pi)
    mass = NormalDist().cdf(cut) - NormalDist().cdf(-cut)
    assert distribution.scale == pytest.approx(0.02 / sqrt(1 - 2 * cut * density / mass), rel=1e-12)


def test_the_two_published_truncation_ratios():
    assert TruncatedNormal(1.0, cut=2.0).scale == pytest.approx(1 / 0.8796256610, rel=1e-9)
    assert TruncatedNormal(1.0, cut=3.0).scale == pytest.approx(1 / 0.9865783926, rel=1e-9)


def test_the_radius_and_angle_are_those_of_box_and_muller():
    """Against the same words through numpy's float64 logarithm and cosine."""
    from initadvisor.initializers.draws import WordStream

    words = WordStream(Key(5, "w")).read(0, 2 * c.PAIRS).astype(np.uint64)
    u = ((words[: c.PAIRS] | np.uint64(1)).astype(np.float32) * np.float32(2.0**-32)).astype(np.float64)
    angle_words = words[c.PAIRS :].astype(np.uint32)
    angle = (angle_words.view(np.int32) >> 8) * 2.0**-24 * pi + np.where(angle_words & 1, pi, 0)
    radius = np.sqrt(-2 * np.log(u))
    drawn = draw(Normal(1.0), (2 * c.PAIRS,)).astype(np.float64).reshape(2, c.PAIRS)
    assert np.abs(np.square(drawn).sum(axis=0) - radius**2).max() < 1e-5
    far = radius > 0.05
    expected = np.stack([radius * np.cos(angle), radius * np.sin(angle)])
    assert np.abs(drawn - expected)[:, far].max() < 4e-6
    assert radius.max() < sqrt(64 * log(2))


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=ids)
def test_a_region_holds_exactly_the_elements_of_the_whole(distribution, data):
    shape = tuple(data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=4)))
    whole = draw(distribution, shape)
    region = tuple(
        slice(data.draw(st.integers(0, n)), data.draw(st.integers(0, n)), data.draw(st.integers(1, 3))) for n in shape
    )
    assert (draw(distribution, shape, region=region) == whole[region]).all()
    start, stop = sorted((data.draw(st.integers(0, whole.size)), data.draw(st.integers(0, whole.size))))
    flat = range(start, stop, data.draw(st.integers(1, 5)))
    out = np.empty(len(flat), np.float32)
    distribution.draw(Key(5, "w"), shape, out, flat)
    assert (out == whole.reshape(-1)[flat.start : flat.stop : flat.step]).all()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS[:-1], ids=ids[:-1])
def test_a_large_tensor_is_the_same_in_pieces_in_threads_and_in_one(distribution, monkeypatch):
    shape = (70, 5, 5000)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = draw(distribution, shape)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert (draw(distribution, shape) == one).all()
    for region in (
        (slice(10, 35), slice(None), slice(None)),
        (slice(None), slice(1, 3), slice(None)),
        (slice(3, None, 7), slice(None, None, 2), slice(17, 4444)),
    ):
        assert (draw(distribution, shape, region=region) == one[region]).all()
    backwards = np.empty(shape[::-1], np.float32).T
    assert (draw(distribution, shape, out=backwards) == one).all()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=ids)
def test_other_dtypes_hold_the_same_draw_rounded(distribution):
    single = draw(distribution, (4099,))
    assert (draw(distribution, (4099,), np.float16) == single.astype(np.float16)).all()
    double = draw(distribution, (4099,), np.float64)
    assert np.abs(double - single).max() <= 2.0**-22 * (np.abs(single).max())


def test_a_longer_tensor_begins_with_the_shorter_one():
    assert (draw(Normal(1.0), (100_000,))[:1000] == draw(Normal(1.0), (1000,))).all()


def test_an_empty_tensor_is_drawn():
    assert draw(Normal(1.0), (0, 4)).shape == (0, 4)
