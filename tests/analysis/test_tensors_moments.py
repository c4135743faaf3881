"""The streaming pass gives numpy's double-precision answers on any shape, type and row axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initadvisor.analysis.tensors.moments import finish, read_moments, read_segment
from initadvisor.analysis.tensors.rows import RowView, row_axes, row_view
from initadvisor.analysis.tensors.tiles import CHUNK, segments, tiles
from initadvisor.frontends.sources import ArraySource
from initadvisor.graph import Layout

LARGE = [
    ((300, 700), (0,)),
    ((300, 700), (1,)),
    ((3, 200_000), (0,)),
    ((200_000, 3), (1,)),
    ((2, 300_000), (1,)),
    ((4, 300, 500), (0, 1)),
    ((4, 300, 500), (1,)),
    ((2, 3, 150_000), (1,)),
    ((2, 40_000, 9), (1,)),
    ((150_001,), ()),
]


def reference(array: np.ndarray, view: RowView) -> np.ndarray:
    return array.astype(np.float64).reshape(view.outer, view.rows, view.inner)


@given(
    shape=st.lists(st.integers(1, 9), max_size=4).map(tuple),
    axes=st.sets(st.integers(0, 3), max_size=2),
    dtype=st.sampled_from(["float32", "float64", "float16", "int8"]),
    centre=st.sampled_from([0.0, 1.0, -50.0]),
    spread=st.sampled_from([1.0, 1e-3, 10.0]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=200, deadline=None)
def test_small_tensors_are_exact(
    shape: tuple[int, ...], axes: set[int], dtype: str, centre: float, spread: float, seed: int
) -> None:
    array = (np.random.default_rng(seed).normal(centre, spread, size=shape)).astype(dtype)
    view = row_view(shape, tuple(axes))
    found = read_moments(ArraySource(array), view)
    exact = reference(array, view)
    assert found.mean == pytest.approx(exact.mean(), rel=1e-12, abs=1e-12)
    assert found.std == pytest.approx(exact.std(), rel=1e-9, abs=1e-12)
    assert (found.low, found.high) == (exact.min(), exact.max())
    assert found.absmax == np.abs(exact).max()
    sums = found.shift * view.length + found.scale * found.row_sum
    assert np.allclose(sums, exact.sum((0, 2)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("shape", "axes"), LARGE)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("centre", [0.0, 0.3])
def test_large_tensors_keep_six_digits(
    shape: tuple[int, ...], axes: tuple[int, ...], dtype: str, centre: float
) -> None:
    array = np.random.default_rng(1).normal(centre, 0.02, size=shape).astype(np.float32)
    source = ArraySource(array)
    if dtype == "float16":
        array = array.astype(np.float16)
        source = ArraySource(array)
    elif dtype == "bfloat16":
        codes = (array.view(np.uint32) >> 16).astype(np.uint16)
        array = (codes.astype(np.uint32) << 16).view(np.float32)
        source = ArraySource(codes, "bfloat16")
    view = row_view(shape, axes)
    found = read_moments(source, view)
    exact = reference(array, view)
    assert found.mean == pytest.approx(exact.mean(), abs=1e-6 * exact.std())
    assert found.std == pytest.approx(exact.std(), rel=1e-6)
    assert (found.low, found.high) == (exact.min(), exact.max())
    means = found.shift + found.scale * found.row_sum / view.length
    assert np.allclose(means, exact.mean((0, 2)), atol=1e-5 * exact.std())


@pytest.mark.parametrize("shape", [(7,), (100, 100), (500, 400)])
def test_not_a_number_and_infinity_are_counted_and_left_out(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    flat = array.reshape(-1)
    flat[[0, 3]], flat[1], flat[5] = np.nan, np.inf, -np.inf
    found = read_moments(ArraySource(array), row_view(shape, (0,)))
    held = flat[np.isfinite(flat)].astype(np.float64)
    assert (found.nan_count, found.inf_count, found.finite) == (2, 2, held.size)
    assert found.mean == pytest.approx(held.mean(), rel=1e-5, abs=1e-6)
    assert found.std == pytest.approx(held.std(), rel=1e-5)
    assert (found.low, found.high) == (held.min(), held.max())


def test_nothing_but_nan() -> None:
    found = read_moments(ArraySource(np.full((20, 20), np.nan, np.float32)), row_view((20, 20), (0,)))
    assert (found.nan_count, found.finite, found.absmax, found.std) == (400, 0, 0.0, 0.0)


@pytest.mark.parametrize("scale", [1e-38, 1e-25, 1e-10, 1e10, 1e25, 1e37])
def test_magnitudes_whose_squares_leave_single_precision(scale: float) -> None:
    array = (np.random.default_rng(3).uniform(-1, 1, size=(400, 300)) * scale).astype(np.float32)
    found = read_moments(ArraySource(array), row_view(array.shape, (0,)))
    exact = array.astype(np.float64)
    assert found.std == pytest.approx(exact.std(), rel=1e-6)
    assert found.mean == pytest.approx(exact.mean(), abs=1e-5 * exact.std())


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_double_precision_extremes(scale: float) -> None:
    array = np.random.default_rng(4).uniform(-1, 1, size=(30, 30)) * scale
    found = read_moments(ArraySource(array), row_view(array.shape, (0,)))
    assert found.std / scale == pytest.approx((array / scale).std(), rel=1e-9)


@pytest.mark.parametrize("shape", [(200, 100), (700, 600)])
def test_a_mean_far_above_the_spread_does_not_cancel(shape: tuple[int, ...]) -> None:
    array = (1.0 + 1e-4 * np.random.default_rng(5).normal(size=shape)).astype(np.float32)
    found = read_moments(ArraySource(array), row_view(shape, (0,)))
    assert found.std == pytest.approx(array.astype(np.float64).std(), rel=1e-6)


def test_constants_have_exactly_no_spread() -> None:
    array = np.full((700, 600), 0.1, np.float32)
    found = read_moments(ArraySource(array), row_view(array.shape, (0,)))
    assert (found.std, found.low, found.high) == (0.0, array[0, 0], array[0, 0])


@pytest.mark.parametrize("shape", [(0,), (0, 4), (4, 0)])
def test_empty_tensors(shape: tuple[int, ...]) -> None:
    found = read_moments(ArraySource(np.zeros(shape, np.float32)), row_view(shape, (0,)))
    assert (found.finite, found.mean, found.std, found.absmax) == (0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("shape", "axes"), LARGE)
def test_tiles_cover_every_element_once_and_know_their_place(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    view = row_view(shape, axes)
    source = ArraySource(np.arange(view.size, dtype=np.float64).reshape(shape))
    seen = np.zeros((view.outer, view.rows, view.inner), bool)
    for first, last in segments(view):
        for data, outer, row, inner in tiles(source, view, first, last):
            assert data.size <= max(CHUNK, view.inner)
            assert data[0, 0, 0] == (outer * view.rows + row) * view.inner + inner
            part = seen[outer : outer + data.shape[0], row : row + data.shape[1], inner : inner + data.shape[2]]
            assert part.shape == data.shape
            assert not part.any()
            part[:] = True
    assert seen.all()


def test_segments_read_apart_join_to_the_whole() -> None:
    array = np.random.default_rng(6).normal(size=(9000, 1000)).astype(np.float32)
    view, source = row_view(array.shape, (0,)), ArraySource(array)
    parts = [read_segment(source, view, first, last, columns=True) for first, last in segments(view)]
    assert len(parts) > 1
    joined = finish(source, view, parts)
    assert joined.std == pytest.approx(array.astype(np.float64).std(), rel=1e-6)
    assert joined.columns is not None
    assert np.array_equal(joined.columns, array[:, :16])


@pytest.mark.parametrize(
    ("layout", "shape", "expected"),
    [
        (Layout((0,), (1,)), (6, 5), RowView(1, 6, 5)),
        (Layout((1,), (0,)), (6, 5), RowView(6, 5, 1)),
        (Layout((1,), (0,), transposed=True), (6, 5, 3, 3), RowView(6, 5, 9)),
        (Layout((1,), (2,), batch_axes=(0,)), (4, 6, 5), RowView(1, 24, 5)),
        (Layout((2,), (1,), batch_axes=(0,)), (4, 6, 5), RowView(24, 5, 1)),
        (Layout((1,), (), batch_axes=(0,)), (100, 8), RowView(1, 100, 8)),
        (Layout((), (0,)), (7,), RowView(1, 1, 7)),
        (None, (6, 5), RowView(1, 6, 5)),
        (None, (6,), RowView(1, 1, 6)),
    ],
)
def test_rows_follow_the_layout(layout: Layout | None, shape: tuple[int, ...], expected: RowView) -> None:
    assert row_view(shape, row_axes(layout, shape)) == expected


def test_interleaved_rows_of_a_large_tensor_are_sampled_and_its_totals_are_not() -> None:
    array = np.random.default_rng(7).normal(0.01, 0.02, size=(3000, 2000)).astype(np.float32)
    array[:, 7] *= 3
    found = read_moments(ArraySource(array), row_view(array.shape, (1,)))
    exact = array.astype(np.float64)
    assert found.mean == pytest.approx(exact.mean(), rel=1e-6)
    assert found.std == pytest.approx(exact.std(), rel=1e-6)
    assert 500 <= found.row_length < 3000
    variance = found.row_square / found.row_length - np.square(found.row_sum / found.row_length)
    # Relative standard error of a standard deviation from n normal draws: 1 / sqrt(2 n).
    assert np.allclose(np.sqrt(variance), exact.std(0), rtol=5 / np.sqrt(2 * found.row_length))
