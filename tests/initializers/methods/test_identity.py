"""Identity-like starts: exact at init."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from initadvisor.graph import Layout
from initadvisor.initializers import InitSpec, Key

SIZES = st.integers(1, 40)


@given(SIZES, SIZES)
def test_identity_is_torchs_eye(out, in_):
    assert (InitSpec("identity").draw((out, in_), Key(0, "w")) == np.eye(out, in_)).all()


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", [(8, 4, 3, 3), (4, 4, 5), (12, 4, 2, 3, 4)])
def test_identity_kernel_is_torchs_dirac(shape, groups):
    expected = torch.nn.init.dirac_(torch.empty(shape), groups=groups).numpy()
    assert (InitSpec("identity").draw(shape, Key(0, "w"), Layout((0,), (1,), groups=groups)) == expected).all()


@given(SIZES, SIZES)
def test_idinit_is_the_tiled_identity(out, in_):
    weight = InitSpec("idinit").draw((out, in_), Key(0, "w"))
    for m in range(out):
        for j in range(in_):
            assert weight[m, j] == (1.0 if m % in_ == j else 0.0)


def test_idinit_is_exactly_the_identity_where_square_and_loose_where_asked():
    assert (InitSpec("idinit").draw((30, 30), Key(0, "w")) == np.eye(30)).all()
    loose = InitSpec("idinit", {"loose": 0.01}).draw((300, 300), Key(0, "w"))
    assert (loose[~np.eye(300, dtype=bool)] == 0).all()
    assert np.diagonal(loose).std() == pytest.approx(0.01, rel=0.2)


def test_idinit_of_a_kernel_is_that_of_its_reshaped_matrix():
    weight = InitSpec("idinit").draw((8, 4, 3, 3), Key(0, "w"))
    assert (weight.reshape(8, 36) == InitSpec("idinit").draw((8, 36), Key(0, "w"))).all()


@pytest.mark.parametrize("shape", [(64, 64), (32, 64), (8, 8, 3, 3)])
def test_idinits_branch_end_is_nearly_zero_has_mean_zero_and_some_gradient(shape):
    weight = InitSpec("idinit_zero").draw(shape, Key(0, "w"), dtype=np.float64)
    assert weight.sum() == 0
    assert 0 < np.abs(weight).max() <= 1e-6


@pytest.mark.parametrize("power", range(1, 9))
def test_zero_has_orthonormal_columns_where_out_is_a_power_of_two(power):
    for in_ in (1, 2**power // 2, 2**power - 1):
        if in_:
            weight = InitSpec("zero").draw((2**power, in_), Key(0, "w"), dtype=np.float64)
            assert np.abs(weight.T @ weight - np.eye(in_)).max() < 1e-12


@given(SIZES, SIZES)
def test_zero_is_the_identity_where_a_layer_does_not_expand(out, in_):
    weight = InitSpec("zero").draw((out, in_), Key(0, "w"), dtype=np.float64)
    if out <= in_:
        assert (weight == np.eye(out, in_)).all()
    else:
        assert np.unique(np.abs(weight)) == pytest.approx(2.0 ** (-np.ceil(np.log2(out)) / 2))


def test_zero_matches_sylvesters_construction():
    hadamard = np.ones((1, 1))
    for _ in range(5):
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    expected = hadamard[:24, :10] / 2**2.5
    assert InitSpec("zero").draw((24, 10), Key(0, "w"), dtype=np.float64) == pytest.approx(expected)


def rank_after_training(spec: InitSpec) -> tuple[int, float]:
    """Rank of the first layer, and its largest element, after 50 SGD steps of a two-layer net."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(64, 10, generator=generator), torch.randn(64, 1, generator=generator)
    net = torch.nn.Sequential(torch.nn.Linear(10, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    for name, p in net.named_parameters():
        p.data = torch.from_numpy(spec.draw(tuple(p.shape), Key(0, name)))
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    for _ in range(50):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()
    weight = net[0].weight.detach().double()
    return int(torch.linalg.matrix_rank(weight, atol=1e-6)), float(weight.abs().max())


def test_a_zero_net_never_learns_and_a_constant_one_keeps_rank_one():
    """Acceptance of methods `zeros` and `constant`: what their caveats claim."""
    assert rank_after_training(InitSpec("zeros"))[0] == 0
    assert rank_after_training(InitSpec("constant", {"value": 0.1}))[0] == 1
    assert rank_after_training(InitSpec("lecun_normal"))[0] > 1
