"""Equal rows and equal tensors are found exactly, whatever the axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initadvisor.analysis.tensors.duplicates import copies, duplicate_rows, equal_bits, row_hashes
from initadvisor.analysis.tensors.moments import read_moments
from initadvisor.analysis.tensors.rows import row_view
from initadvisor.frontends.sources import ArraySource


def share(array: np.ndarray, axes: tuple[int, ...]) -> float:
    """The share of rows that equal an earlier one, by comparing bytes."""
    view = row_view(array.shape, axes)
    rows = array.reshape(view.outer, view.rows, view.inner)
    return 1 - len({rows[:, index].tobytes() for index in range(view.rows)}) / view.rows


@given(
    shape=st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple),
    axis=st.integers(0, 3),
    levels=st.integers(1, 3),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=300, deadline=None)
def test_share_of_duplicates_on_few_valued_tensors(shape: tuple[int, ...], axis: int, levels: int, seed: int) -> None:
    array = np.random.default_rng(seed).integers(0, levels + 1, size=shape).astype(np.float32)
    axes = (axis % len(shape),)
    source, view = ArraySource(array), row_view(shape, axes)
    expected = share(array, axes)
    assert duplicate_rows(source, view) == pytest.approx(expected)
    assert duplicate_rows(source, view, read_moments(source, view).row_keys) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((500, 300), 0),
        ((300, 500), 1),
        ((64, 32, 3, 3), 0),
        ((32, 64, 3, 3), 1),
        ((6, 200_000), 0),
        ((3, 5, 60_000), 1),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_planted_duplicates_are_counted(shape: tuple[int, ...], axis: int, dtype: str) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(dtype)
    view = row_view(shape, (axis,))
    assert duplicate_rows(ArraySource(array), view) == 0.0
    rows = np.moveaxis(array, axis, 0)
    rows[3] = rows[0]
    rows[1] = rows[2]
    source = ArraySource(array)
    assert duplicate_rows(source, view) == pytest.approx(2 / view.rows)
    assert duplicate_rows(source, view, read_moments(source, view).row_keys) == pytest.approx(2 / view.rows)


def test_rows_that_differ_in_one_element_are_different() -> None:
    array = np.tile(np.random.default_rng(1).normal(size=1000).astype(np.float32), (20, 1))
    array[np.arange(20), np.arange(20) + 500] += 1.0
    assert duplicate_rows(ArraySource(array), row_view(array.shape, (0,))) == 0.0


def test_permuted_rows_and_signed_zeros_are_different() -> None:
    base = np.random.default_rng(2).normal(size=8).astype(np.float32)
    array = np.stack([base, base[::-1], np.zeros(8, np.float32), -np.zeros(8, np.float32)])
    assert np.unique(row_hashes(ArraySource(array), row_view(array.shape, (0,)))).size == 4


def test_copies_are_counted_within_one_type_and_shape() -> None:
    base = np.random.default_rng(3).normal(size=(40, 30)).astype(np.float32)
    other = base.copy()
    other[-1, -1] += 1e-6
    held = {
        "a": ArraySource(base), "b": ArraySource(base.copy()), "c": ArraySource(base.copy()), "d": ArraySource(other),
        "reshaped": ArraySource(base.reshape(30, 40)), "doubled": ArraySource(base.astype(np.float64)),
    }  # fmt: skip
    found = copies(held, dict.fromkeys(held, ()))
    assert found == {"a": 2, "b": 2, "c": 2, "d": 0, "reshaped": 0, "doubled": 0}


def test_equal_bits_sees_nan_as_itself_and_minus_zero_as_another() -> None:
    nan = np.array([np.nan, 1.0], np.float32)
    assert equal_bits(ArraySource(nan), ArraySource(nan.copy()))
    assert not equal_bits(ArraySource(np.zeros(2, np.float32)), ArraySource(-np.zeros(2, np.float32)))
