"""Fans against the definition: weights of variance 1/fan_in keep the forward second moment, 1/fan_out the backward."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from graphs import recorded
from torch import nn

from initadvisor.graph import Layer


class Wrapped(nn.Module):
    """A function of one parameter called weight."""

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, self.weight)


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(96, 40, bias=False), (64, 96)),
    "addmm (in, out)": (lambda: Wrapped(lambda x, w: torch.addmm(torch.zeros(24), x, w), 96, 24), (64, 96)),
    "matmul (in, out)": (lambda: Wrapped(lambda x, w: x @ w, 96, 24), (64, 96)),
    "matmul, weight left": (lambda: Wrapped(lambda x, w: w @ x, 24, 96), (8, 96, 50)),
    "matmul, weight transposed": (lambda: Wrapped(lambda x, w: x @ w.t(), 24, 96), (64, 96)),
    "linear of a permuted weight": (
        lambda: Wrapped(lambda x, w: nn.functional.linear(x, w.permute(1, 0, 2).reshape(24, 96)), 8, 24, 12),
        (64, 96),
    ),
    "conv1d": (lambda: nn.Conv1d(32, 48, 5, bias=False), (4, 32, 200)),
    "conv2d": (lambda: nn.Conv2d(32, 48, 3, bias=False), (2, 32, 40, 40)),
    "conv2d dilated": (lambda: nn.Conv2d(32, 48, 3, dilation=2, bias=False), (2, 32, 40, 40)),
    "conv2d strided": (lambda: nn.Conv2d(32, 48, 4, stride=2, bias=False), (2, 32, 82, 82)),
    "conv2d grouped": (lambda: nn.Conv2d(32, 64, 3, groups=4, bias=False), (4, 32, 40, 40)),
    "conv2d depthwise": (lambda: nn.Conv2d(64, 64, 5, groups=64, bias=False), (4, 64, 60, 60)),
    "conv3d strided": (lambda: nn.Conv3d(16, 24, 2, stride=2, bias=False), (2, 16, 12, 12, 12)),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(64, 32, 4, stride=2, bias=False), (2, 64, 40, 40)),
    "conv_transpose2d grouped": (lambda: nn.ConvTranspose2d(64, 32, 4, 2, groups=4, bias=False), (4, 64, 40, 40)),
    "conv_transpose1d": (lambda: nn.ConvTranspose1d(64, 32, 3, stride=3, bias=False), (8, 64, 100)),
    "einsum to heads": (
        lambda: Wrapped(lambda x, w: torch.einsum("bnd,dhk->bhnk", x, w), 96, 4, 16),
        (4, 20, 96),
    ),
    "einsum from heads": (
        lambda: Wrapped(lambda x, w: torch.einsum("bnhk,hkd->bnd", x, w), 6, 16, 48),
        (4, 20, 6, 16),
    ),
    "einsum of experts": (lambda: Wrapped(lambda x, w: torch.einsum("ebd,edf->ebf", x, w), 5, 64, 32), (5, 80, 64)),
    "bmm of experts": (lambda: Wrapped(torch.bmm, 5, 64, 32), (5, 80, 64)),
}


def _layer(module: nn.Module, shape: tuple[int, ...]) -> Layer:
    graph = recorded(module, torch.zeros(shape))
    (layer,) = [x for x in graph.layers if x.kind == "linear"]
    return layer


DRAWS = 10
"""Draws of the weights that are averaged: a few thousand elements alone leave 3% of noise."""


@pytest.mark.parametrize("name", CASES)
def test_fan_in_keeps_the_second_moment_forward(name: str) -> None:
    build, shape = CASES[name]
    module = build()
    layer = _layer(module, shape)
    assert layer.fan_in is not None
    moments = []
    for seed in range(DRAWS):
        torch.manual_seed(seed)
        nn.init.normal_(next(module.parameters()), std=layer.fan_in**-0.5)
        with torch.no_grad():
            y = module(torch.randn(shape))
        if "conv_transpose" in name:  # border elements of the output sum fewer terms
            y = y[(slice(None), slice(None), *[slice(6, -6)] * (y.dim() - 2))]
        moments.append(y.square().mean().item())
    assert sum(moments) / DRAWS == pytest.approx(1.0, rel=0.06)


@pytest.mark.parametrize("name", CASES)
def test_fan_out_keeps_the_second_moment_backward(name: str) -> None:
    build, shape = CASES[name]
    module = build()
    layer = _layer(module, shape)
    assert layer.fan_out is not None
    moments = []
    for seed in range(DRAWS):
        torch.manual_seed(seed)
        nn.init.normal_(next(module.parameters()), std=layer.fan_out**-0.5)
        x = torch.randn(shape, requires_grad=True)
        y = module(x)
        y.backward(torch.randn_like(y))
        gradient = x.grad
        assert gradient is not None
        if "conv" in name and "transpose" not in name:  # border elements of the input feed fewer outputs
            gradient = gradient[(slice(None), slice(None), *[slice(4, -4)] * (gradient.dim() - 2))]
        moments.append(gradient.square().mean().item())
    assert sum(moments) / DRAWS == pytest.approx(1.0, rel=0.06)


def test_embedding_reads_one_row_for_each_index() -> None:
    (layer,) = recorded(nn.Embedding(50, 12), torch.zeros(3, 4, dtype=torch.long)).layers
    assert (layer.kind, layer.role, layer.fan_in, layer.fan_out) == ("embedding", "token", 1.0, 12.0)


def test_bilinear_sums_over_both_inputs() -> None:
    (layer,) = recorded(nn.Bilinear(6, 7, 5), torch.zeros(2, 6), torch.zeros(2, 7)).layers
    assert (layer.fan_in, layer.bias) == (42.0, "bias")


@pytest.mark.parametrize(("groups", "depthwise"), [(1, False), (4, False), (32, True)])
def test_groups_and_receptive_field_are_told(groups: int, depthwise: bool) -> None:
    (layer,) = recorded(nn.Conv2d(32, 32, 3, groups=groups), torch.zeros(1, 32, 8, 8)).layers
    assert layer.groups == groups
    assert layer.receptive_field == 9
    assert layer.fan_in == 32 / groups * 9
