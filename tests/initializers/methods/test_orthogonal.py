"""Orthogonal matrices and kernels: their singular values, in every arrangement."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from initadvisor.graph import Layout
from initadvisor.initializers import InitSpec, Key, arrange

SIZES = st.integers(1, 70)


@settings(deadline=None, max_examples=40)
@given(SIZES, SIZES, st.lists(st.integers(1, 4), max_size=3), st.floats(0.1, 3.0), st.integers(0, 2**40))
def test_singular_values_are_the_gain(out, in_, kernel, gain, seed):
    shape = (out, in_, *kernel)
    weight = InitSpec("orthogonal", {"gain": gain}).draw(shape, Key(seed, "w"), dtype=np.float64)
    assert np.linalg.svd(weight.reshape(out, -1), compute_uv=False) == pytest.approx(gain, rel=1e-12)


@settings(deadline=None, max_examples=20)
@given(SIZES, SIZES, st.integers(0, 2**40))
def test_float32_keeps_the_singular_values_to_a_millionth(out, in_, seed):
    weight = InitSpec("orthogonal").draw((out, in_), Key(seed, "w")).astype(np.float64)
    assert np.linalg.svd(weight, compute_uv=False) == pytest.approx(1.0, abs=1e-6)


def test_the_draw_is_uniform_not_biased_by_the_qr_convention():
    """Mezzadri: without the sign fix the eigenvalue angles are not uniform and the diagonal has a mean."""
    diagonal = [
        np.diagonal(InitSpec("orthogonal").draw((8, 8), Key(seed, "w"), dtype=np.float64)).mean() for seed in range(400)
    ]
    assert abs(np.mean(diagonal)) < 5 * sqrt(1 / 8 / 8 / 400)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((48, 64), Layout((1,), (0,))),
        ((32, 4, 3, 3), Layout((0,), (1,), groups=4)),
        ((32, 8, 3, 3), Layout((1,), (0,), groups=4, stride=4, transposed=True)),
        ((6, 40, 20), Layout((2,), (1,), batch_axes=(0,))),
        ((3, 3, 8, 16), Layout((3,), (2,))),
        ((64, 4, 16), Layout((1, 2), (0,))),
    ],
)
def test_each_group_or_expert_is_orthogonal_on_its_own(shape, layout):
    weight = InitSpec("orthogonal").draw(shape, Key(0, "w"), layout, np.float64)
    for matrix in arrange(shape, layout).stack(weight):
        assert np.linalg.svd(matrix.reshape(len(matrix), -1), compute_uv=False) == pytest.approx(1.0, rel=1e-12)


def test_an_expanding_layer_shrinks_the_variance_unless_asked_not_to():
    x = np.random.default_rng(0).standard_normal((2000, 64))
    plain = InitSpec("orthogonal").draw((256, 64), Key(0, "w"), dtype=np.float64)
    assert np.mean((x @ plain.T) ** 2) == pytest.approx(0.25, rel=0.02)
    unit = InitSpec("orthogonal", {"unit_variance": True}).draw((256, 64), Key(0, "w"), dtype=np.float64)
    assert np.mean((x @ unit.T) ** 2) == pytest.approx(1.0, rel=0.02)
    assert InitSpec("orthogonal", {"unit_variance": True}).std((256, 64)) == pytest.approx(1 / 8)


@settings(deadline=None, max_examples=30)
@given(SIZES, st.integers(2, 70), st.integers(0, 2**40))
def test_centred_rows_sum_to_zero_and_stay_orthogonal(out, in_, seed):
    spec = InitSpec("orthogonal", {"centred": True, "gain": 4.0})
    weight = spec.draw((out, in_), Key(seed, "w"), dtype=np.float64)
    assert np.abs(weight.sum(axis=1)).max() < 1e-13 * in_ * 4
    values = np.linalg.svd(weight, compute_uv=False)[: min(out, in_ - 1)]
    assert values == pytest.approx(4.0, rel=1e-12)
    assert spec.std((out, in_)) == pytest.approx(np.sqrt(np.mean(weight**2)))


@pytest.mark.parametrize(("out", "in_"), [(16, 16), (8, 24), (64, 4)])
def test_a_centred_convolution_sees_no_constant_image_even_at_its_padded_edge(out, in_):
    spec = InitSpec("orthogonal", {"centred": True})
    weight = spec.draw((out, in_, 3, 3), Key(3, "w"), dtype=np.float64)
    y = torch.nn.functional.conv2d(torch.full((1, in_, 4, 4), 0.5).double(), torch.from_numpy(weight), padding=1)
    assert float(y.abs().max()) < 1e-13 * in_
    values = np.linalg.svd(weight.reshape(out, -1), compute_uv=False)[: min(out, 9 * (in_ - 1))]
    assert values == pytest.approx(1.0, rel=1e-12)
    assert spec.std((out, in_, 3, 3)) == pytest.approx(np.sqrt(np.mean(weight**2)))


@pytest.mark.parametrize(("out", "in_"), [(16, 16), (32, 16)])
@pytest.mark.parametrize("kernel", [(3, 3), (5,), (3, 3, 3)])
@pytest.mark.parametrize("seed", [0, 1])
def test_delta_orthogonal_convolution_keeps_the_norm(out, in_, kernel, seed):
    weight = InitSpec("delta_orthogonal").draw((out, in_, *kernel), Key(seed, "w"), dtype=np.float64)
    conv = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)[len(kernel) - 1]
    x = torch.randn(2, in_, *[7] * len(kernel), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    y = conv(x, torch.from_numpy(weight), padding=tuple(k // 2 for k in kernel))
    assert float(y.norm() / x.norm()) == pytest.approx(1.0, rel=1e-12)


def test_delta_orthogonal_is_zero_outside_the_centre():
    weight = InitSpec("delta_orthogonal").draw((8, 8, 3, 3), Key(0, "w"))
    weight[:, :, 1, 1] = 0
    assert not weight.any()


@settings(deadline=None, max_examples=40)
@given(st.integers(20, 90), st.integers(20, 90), st.floats(0.06, 1.0), st.integers(0, 2**40))
def test_sparse_orthogonal_is_exact_and_as_dense_as_asked(out, in_, density, seed):
    weight = InitSpec("sparse_orthogonal", {"density": density}).draw((out, in_), Key(seed, "w"), dtype=np.float64)
    gram = weight @ weight.T if out <= in_ else weight.T @ weight
    assert np.abs(gram - np.eye(len(gram))).max() < 1e-12
    # One rotation changes at most two rows.
    step = 2 / max(out, in_)
    assert np.count_nonzero(weight) / weight.size == pytest.approx(density, abs=max(0.01, step / 2))


@pytest.mark.parametrize("shape", [(256, 256), (512, 128), (128, 512), (256, 256, 3, 3)])
@pytest.mark.parametrize("density", [0.0625, 0.125, 0.5])
def test_sparse_orthogonal_at_the_size_of_a_layer(shape, density):
    weight = InitSpec("sparse_orthogonal", {"density": density}).draw(shape, Key(1, "w"), dtype=np.float64)
    tap = weight if len(shape) == 2 else weight[:, :, 1, 1]
    gram = tap @ tap.T if len(tap) <= tap.shape[1] else tap.T @ tap
    assert np.abs(gram - np.eye(len(gram))).max() < 1e-12
    assert np.count_nonzero(tap) / tap.size == pytest.approx(density, abs=0.01)
    assert np.count_nonzero(weight) == np.count_nonzero(tap)
