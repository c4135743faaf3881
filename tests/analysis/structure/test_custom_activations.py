"""Activations that no table has: what they compute decides the gain, however they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import initadvisor
from initadvisor import frontends
from initadvisor.analysis import structure
from initadvisor.frontends.options import LoadOptions
from initadvisor.ops.gains import gains


class Bump(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * torch.exp(-x * x)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return grad * (1 - 2 * x * x) * torch.exp(-x * x)


class Act(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


CUSTOM = {
    "bump": (lambda x: x * torch.exp(-x * x), lambda x: x * np.exp(-x * x)),
    "bump by a function of autograd": (Bump.apply, lambda x: x * np.exp(-x * x)),
    "signed log": (lambda x: torch.sign(x) * torch.log1p(x.abs()), lambda x: np.sign(x) * np.log1p(np.abs(x))),
    "branches": (lambda x: torch.where(x > 0, x, 0.5 * torch.sinh(x.clamp(min=-2))),
                 lambda x: np.where(x > 0, x, 0.5 * np.sinh(np.clip(x, -2, None)))),
}  # fmt: skip


@pytest.mark.parametrize("name", CUSTOM)
def test_the_advice_is_the_gain_of_the_function(name: str) -> None:
    torch.manual_seed(0)
    function, same = CUSTOM[name]
    model = nn.Sequential(nn.Linear(64, 64), Act(function), nn.Linear(64, 64), Act(function), nn.Linear(64, 4))
    step = initadvisor.advise(model, input_shape=(4, 64)).step("2.weight")
    assert step is not None
    assert step.std_after is not None
    second = gains(same).second_moment
    assert step.std_after * 8 == pytest.approx(second**-0.5, rel=0.02)


def test_a_leaky_relu_in_branches_is_one() -> None:
    model = nn.Sequential(nn.Linear(8, 8), Act(lambda x: torch.where(x > 0, x, 0.1 * x)), nn.Linear(8, 2))
    graph = structure.describe(frontends.load(model, LoadOptions(input_shapes=((4, 8),))))
    activation = graph.layers[0].activation
    assert activation is not None
    assert activation.name == "leaky_relu"
    assert dict(activation.params)["negative_slope"] == pytest.approx(0.1)
