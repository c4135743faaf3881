"""Gains against closed forms, published figures and an independent dense sum."""

from __future__ import annotations

import math

import numpy as np
import pytest

from initadvisor.errors import UsageError
from initadvisor.ops.activations import ACTIVATIONS
from initadvisor.ops.gains import gains, mean, moments, resolve, second_moment, slope_moment

# forward, backward, NF gain, rho, chi1, to the digits given by the mean-field literature's definitions
TABLE = {
    "relu": (1.414214, 1.414214, 1.712859, 1.0, 1.0),
    "prelu": (1.371989, 1.371989, 1.504610, 1.0, 1.0),
    "elu": (1.245198, 1.223429, 1.270843, 0.891, 1.0359),
    "selu": (1.0, 0.966026, 1.0, 0.783, 1.0716),
    "gelu": (1.533530, 1.481114, 1.700926, 1.144, 1.0720),
    "silu": (1.676532, 1.623320, 1.787187, 1.173, 1.0666),
    "mish": (1.486848, 1.444755, 1.592025, 1.076, 1.0591),
    "hardswish": (1.736657, 1.670076, 1.813871, 1.224, 1.0813),
    "softplus": (1.041867, 1.846229, 1.919126, 0.492, 0.3185),
    "tanh": (1.592537, 1.467414, 1.592537, 0.461, 1.1778),
    "sigmoid": (1.846229, 4.722646, 4.801313, 0.106, 0.1528),
    "softsign": (2.337533, 2.095781, 2.337533, 0.477, 1.2440),
    "sin": (1.520867, 1.327251, 1.520867, 0.313, 1.3130),
}
DENSE = np.linspace(-14.0, 14.0, 1_400_001)
DENSITY = np.exp(-0.5 * DENSE**2) / math.sqrt(2 * math.pi) * (DENSE[1] - DENSE[0])


@pytest.mark.parametrize(("name", "row"), TABLE.items())
def test_every_row_of_the_table(name: str, row: tuple[float, ...]) -> None:
    g = gains(name)
    assert (g.forward, g.backward, g.nf_gamma) == pytest.approx(row[:3], abs=5e-7)
    assert g.rho == pytest.approx(row[3], abs=5e-4)
    assert g.chi1 == pytest.approx(row[4], abs=5e-5)


@pytest.mark.parametrize("slope", [-0.3, 0.0, 0.01, 0.2, 1.0])
def test_leaky_relu_has_a_closed_form(slope: float) -> None:
    g = gains("leaky_relu", negative_slope=slope)
    assert g.forward == pytest.approx(math.sqrt(2 / (1 + slope**2)), rel=1e-12)
    assert g.backward == pytest.approx(g.forward, rel=1e-12)
    assert gains("leaky_relu").nf_gamma == pytest.approx(1.704832, abs=5e-7)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("q", [0.04, 1.0, 9.0])
def test_moments_agree_with_a_dense_sum(name: str, q: float) -> None:
    f = resolve(name)
    x = math.sqrt(q) * DENSE
    y, slope = f.function(x), f.derivative(x)
    expected = [(y * DENSITY).sum(), (y * y * DENSITY).sum(), (slope**2 * DENSITY).sum(), (slope * DENSITY).sum()]
    m = moments(name, q)
    assert [m.mean, m.second, m.slope, m.slope_mean] == pytest.approx(expected, rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"sign", "hardshrink"}))
def test_derivatives_are_those_of_the_functions(name: str) -> None:
    f = resolve(name)
    x = np.linspace(-7.0, 7.0, 1401) + 0.0037
    numeric = (f.function(x + 1e-6) - f.function(x - 1e-6)) / 2e-6
    assert f.derivative(x) == pytest.approx(numeric, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("frequency", [0.5, 1.0, 30.0])
@pytest.mark.parametrize("q", [0.25, 1.0, 4.0])
def test_sine_has_a_closed_form_even_where_it_oscillates(frequency: float, q: float) -> None:
    expected = (1 - math.exp(-2 * frequency**2 * q)) / 2
    assert second_moment("sin", q, w=frequency) == pytest.approx(expected, rel=1e-9)
    assert slope_moment("sin", q, w=frequency) == pytest.approx(frequency**2 * (1 - expected), rel=1e-9)


def test_relu_moments_with_a_mean_have_a_closed_form() -> None:
    mu, std = 0.7, 1.9
    cdf = 0.5 * math.erfc(-mu / std / math.sqrt(2))
    pdf = math.exp(-0.5 * (mu / std) ** 2) / math.sqrt(2 * math.pi)
    m = moments("relu", mu**2 + std**2, mu)
    assert m.mean == pytest.approx(mu * cdf + std * pdf, rel=1e-12)
    assert m.second == pytest.approx((mu**2 + std**2) * cdf + mu * std * pdf, rel=1e-12)
    assert m.slope == pytest.approx(cdf, rel=1e-12)


@pytest.mark.parametrize("kink", [0.0, 0.3, -1.234567, 2.0])
def test_a_callable_with_an_unknown_kink_is_integrated_exactly(kink: float) -> None:
    g = gains(lambda x: np.maximum(x, kink))
    cdf = 0.5 * math.erfc(kink / math.sqrt(2))
    pdf = math.exp(-0.5 * kink**2) / math.sqrt(2 * math.pi)
    assert g.second_moment == pytest.approx(kink**2 * (1 - cdf) + cdf + kink * pdf, rel=1e-7)
    assert g.slope_moment == pytest.approx(cdf, rel=1e-5)


@pytest.mark.parametrize("name", ["gelu", "tanh", "hardswish", "relu6", "mish"])
def test_a_callable_gives_the_gains_of_the_name(name: str) -> None:
    by_name, by_callable = gains(name), gains(resolve(name).function)
    assert by_callable.forward == pytest.approx(by_name.forward, rel=1e-10)
    assert by_callable.backward == pytest.approx(by_name.backward, rel=1e-5)


def test_a_jump_has_no_slope() -> None:
    assert gains(np.sign).backward == math.inf
    assert gains("sign").forward == pytest.approx(1.0)
    assert gains(lambda x: np.where(x > 0.5, x, 0.0)).slope_moment == pytest.approx(0.3085375, abs=1e-5)


def test_a_constant_has_infinite_gains_where_nothing_is_left() -> None:
    g = gains(lambda x: np.full_like(x, 3.0))
    assert g.second_moment == pytest.approx(9.0)
    assert (g.backward, g.nf_gamma) == (math.inf, math.inf)
    assert math.isnan(gains(lambda x: 0.0 * x).chi1)


def test_extreme_second_moments_stay_exact() -> None:
    for q in (1e-12, 1e-6, 1e6, 1e12):
        assert second_moment("relu", q) == pytest.approx(q / 2, rel=1e-12)
        assert second_moment("silu", q) == pytest.approx(q / 2 if q > 1 else q / 4, rel=3e-3)
        assert mean("relu", q) == pytest.approx(math.sqrt(q / (2 * math.pi)), rel=1e-12)
    assert second_moment("tanh", 1e12) == pytest.approx(1.0, rel=1e-5)


def test_unknown_names_and_parameters_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"geloo.*gelu"):
        gains("geloo")
    with pytest.raises(UsageError, match=r"slope.*negative_slope"):
        gains("leaky_relu", slope=0.1)
