"""Filling torch tensors: every dtype, view, shard and thread count gives the same draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from initadvisor.apply.keyed_torch import fill_
from initadvisor.graph import Layout
from initadvisor.initializers import InitSpec, Key

SHAPE = (64, 24, 3, 3)
PARTS = [
    {"name": n, "start": 8 * i, "stop": 8 * (i + 1), "spec": {"method": m}}
    for i, (n, m) in enumerate([("q", "kaiming_normal"), ("k", "orthogonal"), ("v", "zeros")])
]
SPECS = [
    InitSpec("kaiming_normal"),
    InitSpec("xavier_uniform"),
    InitSpec("kaiming_truncated_normal"),
    InitSpec("constant", {"value": 0.5}),
    InitSpec("normal", {"std": 0.1, "mean": 1.0}),
    InitSpec("orthogonal"),
    InitSpec("blocks", {"axis": 1, "blocks": PARTS}),
]
KEY = Key(11, "conv.weight")
EVERY = pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.describe()[:20])


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_tensor_holds_the_numpy_draw_rounded_to_its_dtype(spec, dtype):
    expected = torch.from_numpy(spec.draw(SHAPE, KEY, dtype=np.float64 if dtype == torch.float64 else np.float32))
    assert torch.equal(fill_(torch.empty(SHAPE, dtype=dtype), spec, KEY), expected.to(dtype))


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_views_of_any_stride_are_filled_in_place(spec, dtype):
    base = torch.full((3, 3, 24, 130), -9.0, dtype=dtype)
    view = base.permute(3, 2, 0, 1)[1:129:2]
    assert torch.equal(fill_(view, spec, KEY), fill_(torch.empty(SHAPE, dtype=dtype), spec, KEY))
    assert (base[..., 0::2] == -9).all()
    channels_last = torch.empty(SHAPE, dtype=dtype).contiguous(memory_format=torch.channels_last)
    assert torch.equal(fill_(channels_last, spec, KEY), view)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_shards_of_any_axis_join_to_the_whole(spec, dtype, axis):
    whole = fill_(torch.empty(SHAPE, dtype=dtype), spec, KEY)
    shards, size = [], SHAPE[axis]
    for start, stop in ((0, size // 3), (size // 3, size // 3), (size // 3, size)):
        region = tuple(slice(start, stop) if a == axis else slice(None) for a in range(4))
        shape = (*SHAPE[:axis], stop - start, *SHAPE[axis + 1 :])
        shards.append(fill_(torch.empty(shape, dtype=dtype), spec, KEY, shape=SHAPE, region=region))
    assert torch.equal(torch.cat(shards, axis), whole)


@pytest.mark.parametrize("spec", SPECS[:3], ids=lambda s: s.describe())
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_large_tensor_does_not_depend_on_threads(spec, dtype):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fill_(torch.empty(1500, 1100, dtype=dtype), spec, KEY)
        torch.set_num_threads(3)
        assert torch.equal(fill_(torch.empty(1500, 1100, dtype=dtype), spec, KEY), one)
    finally:
        torch.set_num_threads(before)


def test_a_parameter_that_wants_gradients_keeps_its_identity_and_version():
    parameter = torch.nn.Parameter(torch.zeros(8, 8))
    assert fill_(parameter, SPECS[0], KEY) is parameter
    assert parameter.requires_grad
    assert parameter.grad_fn is None
    assert (parameter != 0).all()


def test_a_scalar_is_filled():
    for dtype in (torch.float32, torch.bfloat16):
        assert fill_(torch.empty((), dtype=dtype), InitSpec("normal", {"std": 1.0}), KEY) != 0


def test_the_layout_sets_the_fan():
    spec, layout = InitSpec("lecun_normal"), Layout((1,), (0,))
    assert fill_(torch.empty(400, 100), spec, KEY, layout).std() == pytest.approx(1 / 20, rel=0.02)
