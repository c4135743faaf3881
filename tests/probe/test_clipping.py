"""Adaptive gradient clipping against its definition."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from initadvisor.errors import UsageError
from initadvisor.probe.clipping import clip_units_


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(8, 5), (6, 3, 3, 3), (7,), (4, 2, 3)])
def test_each_unit_ends_within_the_bound(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    torch.manual_seed(len(shape))
    parameter = nn.Parameter(torch.randn(shape).to(dtype))
    gradient = torch.randn(shape).to(dtype) * torch.logspace(-4, 1, shape[0]).to(dtype).view(
        -1, *[1] * (len(shape) - 1)
    )
    parameter.grad = gradient.clone()
    count = int(clip_units_(parameter, 0.1))
    assert 0 < count < shape[0]
    tolerance = 2e-2 if dtype == torch.bfloat16 else 1e-5
    for row in range(shape[0]):
        before, after, weight = (t[row].detach().double() for t in (gradient, parameter.grad, parameter))
        bound = 0.1 * max(float(weight.norm()), 1e-3)
        expected = before * min(1.0, bound / float(before.norm()))
        torch.testing.assert_close(after, expected, rtol=tolerance, atol=0)


def test_units_within_the_bound_keep_their_bits_and_zero_units_may_grow() -> None:
    parameter = nn.Parameter(torch.zeros(2, 4))
    parameter.grad = torch.tensor([[1e-6] * 4, [1.0] * 4])
    assert int(clip_units_([parameter], 0.01)) == 1
    assert torch.equal(parameter.grad[0], torch.full((4,), 1e-6))
    assert float(parameter.grad[1].norm()) == pytest.approx(0.01 * 1e-3)


def test_parameters_without_gradient_are_passed_over() -> None:
    assert int(clip_units_([nn.Parameter(torch.ones(3))])) == 0


@pytest.mark.parametrize(("clip", "floor"), [(0.0, 1e-3), (-1.0, 1e-3), (0.01, 0.0), (float("nan"), 1e-3)])
def test_a_clip_that_is_not_positive_is_refused(clip: float, floor: float) -> None:
    with pytest.raises(UsageError, match="positive"):
        clip_units_([nn.Parameter(torch.ones(3))], clip, floor)
