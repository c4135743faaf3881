"""Densities that histograms are compared with, and the histograms that a check takes."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from initadvisor.initializers.distributions import truncated_std
from initadvisor.report.details import WeightDensity
from initadvisor.report.html.weights import curve


def area(points: list[tuple[float, float]]) -> float:
    """By trapezoids."""
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))


def variance(points: list[tuple[float, float]], mean: float) -> float:
    return area([(x, y * (x - mean) ** 2) for x, y in points])


@pytest.mark.parametrize("mean", [0.0, 1.5])
@pytest.mark.parametrize("std", [1e-6, 0.02, 3.0])
def test_a_density_has_area_one_and_its_standard_deviation(mean: float, std: float) -> None:
    sigma = std / truncated_std(2.0)
    for density in (
        WeightDensity(method="m", family="normal", mean=mean, std=std),
        WeightDensity(method="m", family="truncated_normal", mean=mean, std=std, bound=2 * sigma, sigma=sigma),
    ):
        points = curve(density)
        # 3.5 standard deviations hold 99.95% of a normal.
        assert area(points) == pytest.approx(1.0, abs=2e-3)
        assert variance(points, mean) == pytest.approx(std**2, rel=2e-2)


def test_the_density_of_a_uniform_is_a_box() -> None:
    points = curve(WeightDensity(method="m", family="uniform", std=1 / math.sqrt(3), bound=1.0))
    assert points == [(-1.0, 0.0), (-1.0, 0.5), (1.0, 0.5), (1.0, 0.0)]


def test_a_constant_has_no_density() -> None:
    assert curve(WeightDensity(method="zeros", family="constant", std=0.0)) == []
