"""A row of numbers as a row of characters."""

from __future__ import annotations

import math

import pytest

from initadvisor.report.curve import BLOCKS, DIGITS, curve


def test_a_flat_signal_looks_flat() -> None:
    assert len(set(curve([1.0, 1.05, 0.97, 1.02], 10))) == 1


def test_four_decades_use_the_whole_range_in_equal_steps() -> None:
    values = [10.0**-place for place in range(8)]
    assert curve(values, 20) == BLOCKS[::-1]
    assert curve(values, 20, blocks=False) == DIGITS[::-1]


@pytest.mark.parametrize("width", [1, 3, 10, 99, 100, 1000])
def test_it_never_takes_more_than_its_width(width: int) -> None:
    assert len(curve([1.0] * 100, width)) == min(width, 100)


def test_a_spike_among_hundreds_is_kept() -> None:
    values = [1.0] * 300
    values[150] = 1e6
    drawn = curve(values, 30)
    assert drawn.count(BLOCKS[-1]) == 1
    assert drawn.count(BLOCKS[0]) == 29


@pytest.mark.parametrize("value", [0.0, math.inf, math.nan, -1.0])
def test_what_has_no_logarithm_is_a_point(value: float) -> None:
    assert curve([1.0, value, 1.0], 10)[1] == "."
    assert curve([value], 10) == "."


def test_nothing_and_no_room() -> None:
    assert curve([], 10) == ""
    assert curve([1.0, 2.0], 0) == ""
