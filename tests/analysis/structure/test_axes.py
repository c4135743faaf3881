"""The view algebra against numpy: every path of reshapes, permutations and slices names numpy's elements."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initadvisor.analysis.structure.axes import (
    FOREIGN,
    Factor,
    View,
    channel_of,
    narrow,
    permute,
    reshape,
    select,
    stored,
)


def elements(view: View, shape: tuple[int, ...]) -> np.ndarray:
    """The flat stored indices that a view claims to hold, in its own arrangement."""
    strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
    out = np.array(sum(start * stride for start, stride in zip(view.starts, strides, strict=True)))
    for axis in view.axes:
        walk = np.zeros(1, dtype=int)
        for factor in axis:
            steps = np.arange(factor.size) * factor.stride * strides[factor.axis]
            walk = (walk[:, None] + steps[None, :]).ravel()
        out = out[..., None] + walk
    return out


def factorisations(size: int) -> list[tuple[int, ...]]:
    found = {(size,), (1, size), (size, 1)}
    for a in range(1, size + 1):
        if size % a == 0:
            found.add((a, size // a))
            found.update((a, b, size // a // b) for b in range(1, size // a + 1) if (size // a) % b == 0)
    return sorted(found)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_path_of_movements_names_the_same_elements_as_numpy(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=3)))
    array = np.arange(np.prod(shape)).reshape(shape)
    view: View | None = stored(shape)
    for _ in range(data.draw(st.integers(1, 5))):
        kind = data.draw(st.sampled_from(["reshape", "permute", "narrow", "select"]))
        assert view is not None
        if kind == "reshape":
            target = data.draw(st.sampled_from(factorisations(array.size)))
            array, view = array.reshape(target), reshape(view, target)
        elif kind == "permute":
            order = data.draw(st.permutations(range(array.ndim)))
            array, view = array.transpose(order), permute(view, order)
        elif array.ndim:
            axis = data.draw(st.integers(0, array.ndim - 1))
            start = data.draw(st.integers(0, array.shape[axis] - 1))
            if kind == "narrow":
                stop = data.draw(st.integers(start + 1, array.shape[axis]))
                step = data.draw(st.integers(1, 2))
                array = array[(slice(None),) * axis + (slice(start, stop, step),)]
                view = narrow(view, axis, start, stop, step)
            else:
                array, view = array.take(start, axis), select(view, axis, start)
        if view is None:  # unknown is an answer; a wrong view is not
            return
        assert view.shape == array.shape
        assert np.array_equal(elements(view, shape), array)


def test_fused_qkv_weight_split_by_reshape_keeps_its_blocks() -> None:
    view = stored((36, 12))
    thirds = reshape(view, (3, 12, 12))
    assert thirds is not None
    for i in range(3):
        part = select(thirds, 0, i)
        assert part is not None
        assert part.region(0) == (12 * i, 12 * i + 12)
        assert part.region(1) == (0, 12)


def test_interleaved_heads_have_no_single_region() -> None:
    per_head = reshape(stored((36, 12)), (4, 9, 12))  # four heads of (q, k, v) of three channels
    assert per_head is not None
    q = narrow(per_head, 1, 0, 3)
    assert q is not None
    assert q.region(0) is None
    assert q.axes[:2] == ((Factor(4, 0, 9),), (Factor(3, 0, 1),))


@pytest.mark.parametrize("batch", [None, 2])
def test_channels_survive_an_unknown_batch(batch: int | None) -> None:
    view = reshape(channel_of((batch, 7, 36), -1), (batch, 7, 3, 4, 3))
    assert view is not None
    heads = permute(view, (2, 0, 3, 1, 4))
    assert heads is not None
    v = select(heads, 0, 2)
    assert v is not None
    assert v.region(0) == (24, 36)


def test_an_unknown_size_takes_whatever_is_foreign() -> None:
    view = reshape(channel_of((None, 4, 768), -1), (None, 768))
    assert view is not None
    assert view.axes == ((Factor(None, FOREIGN),), (Factor(768, 0),))


def test_a_reshape_that_mixes_channels_into_an_unknown_size_is_unknown() -> None:
    assert reshape(channel_of((None, 5, 6), -1), (None, 4)) is None
