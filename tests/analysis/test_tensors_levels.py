"""Weights on an even grid of few values."""

from __future__ import annotations

import numpy as np
import pytest

from initadvisor.analysis.tensors.levels import even_levels


def _weights(seed: int, shape: tuple[int, int] = (24, 512)) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_symmetric_quantisation_by_row_leaves_its_levels(bits: int, seed: int) -> None:
    weights = _weights(seed)
    top = 2 ** (bits - 1) - 1
    step = np.abs(weights).max(1, keepdims=True) / top
    found = even_levels((np.round(weights / step) * step).astype(np.float32))
    assert 2 <= found <= 2 * top + 1
    assert found >= top


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_affine_quantisation_of_the_whole_tensor_is_seen(seed: int) -> None:
    weights = _weights(seed)
    step = np.ptp(weights) / 255
    rounded = (np.round((weights - weights.min()) / step) * step + weights.min()).astype(np.float32)
    assert 128 <= even_levels(rounded) <= 256


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [(24, 512), (64, 64), (16, 32)])
@pytest.mark.parametrize("seed", range(5))
def test_draws_have_no_levels(seed: int, shape: tuple[int, int], dtype: type) -> None:
    generator = np.random.default_rng(seed)
    assert even_levels(generator.standard_normal(shape).astype(dtype)) == 0
    assert even_levels(generator.uniform(-0.1, 0.1, shape).astype(dtype)) == 0


def test_signs_have_two_and_short_rows_none() -> None:
    signs = np.sign(_weights(0))
    assert even_levels(signs) == 2
    assert even_levels(signs[:, :9]) == 0
    assert even_levels(np.full((4, 64), 0.5, np.float32)) == 0


def test_one_row_off_the_grid_is_enough() -> None:
    mixed = np.sign(_weights(0))
    mixed[16] = _weights(1)[0]
    mixed[1] = _weights(1)[1]
    assert even_levels(mixed[:16]) == 0
