"""Numbers on axes, and the values that axes are marked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initadvisor.report.svg import short
from initadvisor.report.svg.scale import Scale, scale_over


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1"), (0.5, "0.5"), (0.001234, "0.00123"), (1234.0, "1230"), (99_999.0, "1e5"),
        (0.0009996, "0.001"), (1e-5, "1e-5"), (1.25e-8, "1.25e-8"), (-3.0e20, "-3e20"), (float("nan"), "NaN"),
        (float("inf"), "inf"), (float("-inf"), "-inf"), (None, "?"), (100.0, "100"), (0.1 + 0.2, "0.3"),
    ],
)  # fmt: skip
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert short(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_short_number_is_the_number_to_three_digits(value: float) -> None:
    assert float(short(value)) == pytest.approx(float(f"{value:.3g}"), rel=1e-12, abs=0)
    assert len(short(value)) <= 10


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300), st.integers(2, 8))
def test_the_marks_of_a_logarithmic_axis_lie_within_it_and_rise(a: float, b: float, wanted: int) -> None:
    scale = scale_over([a, b], 0, 100, log=True)
    marks = scale.ticks(wanted)
    assert 2 <= len(marks) <= 3 * wanted + 3
    assert marks == sorted(set(marks))
    places = [scale.at(mark) for mark in marks]
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.integers(2, 8))
def test_the_marks_of_a_linear_axis_lie_within_it_and_rise(a: float, b: float, wanted: int) -> None:
    scale = scale_over([a, b], 0, 100)
    marks = scale.ticks(wanted)
    assert 2 <= len(marks) <= 4 * wanted + 1
    assert marks == sorted(marks)
    assert all(-1e-6 <= scale.at(mark) <= 100 + 1e-6 for mark in marks)


def test_marks_are_round() -> None:
    assert Scale(0.0, 10.0, 0, 100).ticks(5) == [0, 2, 4, 6, 8, 10]
    assert Scale(1e-4, 1e2, 0, 100, log=True).ticks(7) == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100])
    assert Scale(0.0, 3.0, 0, 100).ticks(6, whole=True) == [0, 1, 2, 3]


def test_a_flat_signal_looks_flat_on_a_logarithmic_axis() -> None:
    scale = scale_over([0.98, 1.02], 0, 100, log=True)
    assert abs(scale.at(1.02) - scale.at(0.98)) < 1
