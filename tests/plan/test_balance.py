"""Gains made up for padding and pooling: predicted, and measured on the weights that the plan draws."""

from __future__ import annotations

from math import cos, pi, sqrt

import pytest
import torch
from torch import nn

from initadvisor.apply.torch_module import apply
from tests.plan.plans import plan_of


def stack(depth: int, size: int, *between: nn.Module, width: int = 64) -> nn.Sequential:
    """Convolutions of 3 x 3 with ReLU, the modules `between` behind each, and a head."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), *between]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * size * size, 10))


def gain(plan, name: str) -> float:
    """sqrt(fan_in) times the standard deviation that a plan draws a convolution's weight with."""
    step = plan.step(name)
    return step.std_after * sqrt(step.shape[1] * 9)


@pytest.mark.parametrize("size", [2, 4])
def test_what_padding_takes_is_given_back(size):
    """Along n pixels a 3-tap kernel keeps (1 + 2 cos(pi / (n + 1))) / 3 of what lies where padding leaves it.

    That is the largest eigenvalue of the matrix of the taps that fall on the image, over 3.
    """
    share = ((1 + 2 * cos(pi / (size + 1))) / 3) ** 2
    plan = plan_of(stack(6, size), (2, 64, size, size))
    assert gain(plan, "4.weight") == pytest.approx(sqrt(2 / share), rel=0.02)
    assert "padding" in plan.step("4.weight").reason
    assert gain(plan, "0.weight") == pytest.approx(sqrt(2))  # nothing is in front of it


def test_large_maps_and_plain_matrices_keep_their_gain():
    plan = plan_of(stack(4, 32), (2, 64, 32, 32))
    assert gain(plan, "4.weight") == pytest.approx(sqrt(2))
    plain = nn.Sequential(*[m for _ in range(5) for m in (nn.Linear(32, 32), nn.ReLU())])
    assert {step.method for step in plan_of(plain, (2, 32)).steps if step.shape == (32, 32)} <= {
        "kaiming_normal",
        "lecun_normal",
    }


def test_what_dropout_adds_to_the_second_moment_in_training_is_taken_off():
    """Dropout divides what it keeps by 1 - p, so the second moment grows by as much (arXiv:1607.02488)."""
    layers = [m for _ in range(5) for m in (nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0.5))]
    plan = plan_of(nn.Sequential(*layers), (2, 32))
    assert plan.step("0.weight").std_after * sqrt(32) == pytest.approx(sqrt(2), rel=0.01)
    assert plan.step("6.weight").std_after * sqrt(32) == pytest.approx(1.0, rel=0.01)


def test_a_norm_between_makes_it_needless():
    plan = plan_of(stack(6, 2, nn.BatchNorm2d(64)), (2, 64, 2, 2))
    assert "padding" not in " ".join(step.reason for step in plan.steps)


def test_max_pooling_takes_a_little_off_the_gain_behind_it():
    plan = plan_of(stack(5, 1, nn.MaxPool2d(2)), (2, 64, 32, 32))
    assert gain(plan, "0.weight") == pytest.approx(sqrt(2))
    assert 0.6 * sqrt(2) < gain(plan, "3.weight") < 0.95 * sqrt(2)


def test_signal_and_gradient_keep_their_scale_over_small_maps():
    """Without the correction 12 layers would keep (4/9)^(11/2) = 1% of both."""
    torch.manual_seed(0)
    model, x = stack(12, 2), torch.randn(32, 64, 2, 2)
    apply(model, plan_of(model, (2, 64, 2, 2)))
    outputs = []

    def keep(_, __, output):
        output.retain_grad()
        outputs.append(output)

    for layer in model:
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(keep)
    (model(x) * torch.randn(32, 10)).sum().backward()
    for values in ([o.detach().square().mean().sqrt() for o in outputs], [o.grad.norm() for o in outputs]):
        assert float(max(values) / min(values)) < 2.0
