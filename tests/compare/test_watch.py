"""Figures of layers against closed forms and torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from initadvisor.analysis import structure
from initadvisor.compare.watch import measure, spots_of
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module.load import load
from tests.compare import models


def records(module: nn.Module, x: torch.Tensor, y: torch.Tensor):
    graph = structure.describe(load(module, LoadOptions(example=(x[:2],))))
    return measure(module, spots_of(graph, module), lambda: (F.cross_entropy(module(x), y), len(x)))


@pytest.mark.parametrize("inplace", [False, True])
def test_figures_of_a_relu_layer(inplace: bool) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=inplace), nn.Linear(5, 3))
    with torch.no_grad():
        module[0].bias[2] = -100.0  # one of five units never fires
    x, y = torch.randn(64, 6), torch.arange(64) % 3
    first, last = records(module, x, y)
    assert all(p.grad is None for p in module.parameters())
    z = (x @ module[0].weight.T + module[0].bias).detach().requires_grad_()
    a = z.relu()
    loss = F.cross_entropy(a @ module[2].weight.T + module[2].bias, y, reduction="sum")
    loss.backward()
    assert first.function == "relu"
    assert first.mean == pytest.approx(a.detach().mean().item(), rel=1e-5)
    assert first.std == pytest.approx(a.detach().std(correction=0).item(), rel=1e-5)
    assert first.dead == pytest.approx(0.2)
    assert first.gradient_rms == pytest.approx(float(z.grad.square().mean().sqrt()), rel=1e-5)
    assert first.histogram.zero == pytest.approx(float((a == 0).float().mean()), abs=1e-6)
    whole = sum(first.histogram.shares) + first.histogram.zero + first.histogram.above + first.histogram.below
    assert whole == pytest.approx(1.0, abs=1e-4)
    mean_loss = F.cross_entropy(a @ module[2].weight.T + module[2].bias, y)
    (expected,) = torch.autograd.grad(mean_loss, module[2].weight)
    assert last.weight_gradient_rms == pytest.approx(float(expected.square().mean().sqrt()), rel=1e-5)
    assert last.dead is None


def test_saturation_is_the_share_beyond_097_for_tanh() -> None:
    module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Tanh(), nn.Linear(1, 2))
    nn.init.ones_(module[0].weight)
    x = torch.linspace(-5, 5, 1001)[:, None]
    first, _ = records(module, x, torch.zeros(1001, dtype=torch.long))
    beyond = np.abs(np.tanh(np.linspace(-5, 5, 1001))) > 0.97
    assert first.saturated == pytest.approx(beyond.mean(), abs=2e-3)
    assert (first.histogram.low, first.histogram.high) == (-1.0, 1.0)


def test_behind_a_batch_norm_what_the_function_reads_is_measured() -> None:
    module = models.normed()
    with torch.no_grad():
        module[0].weight.mul_(100)
    found = records(module, torch.randn(256, 64), torch.arange(256) % 10)
    # E[relu(z)^2] = 1/2 for unit normal z, which the norm makes whatever the weight's scale is.
    assert found[0].function == "relu"
    assert found[0].rms == pytest.approx(0.5**0.5, rel=0.03)
    assert [layer.name for layer in found] == ["0", "3", "6"]


def test_a_vanishing_start_shows_as_a_falling_signal_and_he_keeps_it() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(128, 64), torch.arange(128) % 10
    slopes = {}
    for name, scale in (("he", 2.0), ("xavier", 1.0)):
        module = models.stack(nn.ReLU, depth=12, width=256)
        for layer in module:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, 0.0, (scale / layer.in_features) ** 0.5)
                nn.init.zeros_(layer.bias)
        layers = [layer for layer in records(module, x, y) if layer.function == "relu"]
        steps = np.diff(np.log2([layer.rms**2 for layer in layers]))
        slopes[name] = steps.mean()
    assert slopes["he"] == pytest.approx(0.0, abs=0.1)
    assert slopes["xavier"] == pytest.approx(-1.0, abs=0.1)


def test_convolutions_count_channels_as_units() -> None:
    module = models.convolutional()
    with torch.no_grad():
        module[0].bias[:2] = -100.0
    first, _ = records(module, torch.randn(32, 1, 8, 8), torch.arange(32) % 10)
    assert first.dead == pytest.approx(2 / 8)


def test_values_outside_and_not_finite_are_told() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(module[0].weight, 1e6)
    x, y = torch.rand(16, 4), torch.arange(16) % 3
    first, _ = records(module, x, y)
    assert first.histogram.above == pytest.approx(1.0)
    nn.init.constant_(module[0].weight, float("inf"))
    first, _ = records(module, x, y)
    assert (first.rms, first.histogram) == (None, None)
