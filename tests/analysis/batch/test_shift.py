"""Two-sample tests: against scipy, and their error rate where nothing differs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from initadvisor.analysis.batch.shift import kolmogorov_smirnov, labels_shifted, shifted


@pytest.mark.parametrize("sizes", [(100, 100), (400, 150), (2000, 2000)])
@pytest.mark.parametrize("offset", [0.0, 0.1, 0.3])
def test_the_distance_and_p_value_are_those_of_scipy(sizes: tuple[int, int], offset: float) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(sizes[0]), rng.standard_normal(sizes[1]) + offset
    distance, p = kolmogorov_smirnov(a, b)
    reference = stats.ks_2samp(a, b, method="exact")
    assert distance == pytest.approx(reference.statistic)
    assert p == pytest.approx(reference.pvalue, rel=0.15, abs=1e-4)


def test_equal_samples_are_no_shift() -> None:
    a = np.arange(50.0)
    assert kolmogorov_smirnov(a, a) == (0.0, 1.0)


def test_few_of_many_null_sets_are_called_shifted() -> None:
    rng = np.random.default_rng(1)
    calls = 0
    for _ in range(400):
        sets = [{f"f{i}": rng.standard_normal(200) for i in range(8)} for _ in range(2)]
        found = shifted(*sets)
        assert found is not None
        calls += found[1] < 0.05
    # Bonferroni holds the rate at or under 5%: 400 trials exceed 8% once in a thousand times.
    assert calls / 400 < 0.08


@pytest.mark.parametrize("classes", [2, 5, 20])
def test_the_label_test_agrees_with_scipy(classes: int) -> None:
    rng = np.random.default_rng(classes)
    share = rng.dirichlet(np.full(classes, 20.0))
    a = rng.choice(classes, 2000, p=share)
    b = rng.choice(classes, 1500, p=rng.dirichlet(share * 200))
    table = np.array([[np.sum(side == each) for each in range(classes)] for side in (a, b)])
    reference = stats.chi2_contingency(table, correction=False)
    _, p = labels_shifted(a, b)
    assert p == pytest.approx(reference.pvalue, rel=0.1, abs=1e-6) or max(p, reference.pvalue) < 1e-10


def test_one_class_on_both_sides_is_no_shift() -> None:
    assert labels_shifted(np.zeros(20, int), np.zeros(30, int)) == (0.0, 1.0)
