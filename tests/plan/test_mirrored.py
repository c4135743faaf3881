"""Which stacks are drawn in opposite pairs, and what becomes of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.graph import Activation
from initadvisor.plan.mirrored import too_noisy
from tests.plan.plans import plan_of


def mlp(depth: int, activation: type[nn.Module], width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(12 if i == 0 else width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 4))


def methods(model: nn.Module) -> list[str]:
    return [step.method for step in plan_of(model, (2, 12)) if step.parameter.endswith("weight")]


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish, nn.Softplus])
def test_a_stack_too_deep_for_its_width_is_drawn_in_pairs_up_to_its_reader(activation):
    model = mlp(40, activation, 16)
    plan = plan_of(model, (2, 12))
    sides = [step.spec.params["sides"] for step in plan if step.parameter.endswith("weight")]
    assert sides == ["rows", *["both"] * 39, "columns"]
    assert plan.signal is None


@pytest.mark.parametrize(("depth", "width", "activation"), [(9, 8, nn.ReLU), (30, 256, nn.ReLU), (40, 16, nn.SELU)])
def test_what_chance_does_not_ruin_is_drawn_as_before(depth, width, activation):
    assert "mirrored_orthogonal" not in methods(mlp(depth, activation, width))


def test_the_noise_of_relu_layers_is_five_over_the_width_each():
    # E[relu^4] / E[relu^2]^2 - 1 = (3/2) / (1/4) - 1 = 5, and ReLU passes a scale on as it is.
    relu = Activation("relu")
    assert not too_noisy(relu, [50.0] * 39)
    assert too_noisy(relu, [50.0] * 41)


class Skipping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(12, 12) for _ in range(40))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = x + torch.relu(layer(x))
        return x


class Rolled(nn.Module):
    """Units change places between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(12, 12) for _ in range(40))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.relu(layer(x)).roll(1, -1)
        return x


def test_pairs_are_for_plain_stacks_whose_units_stay_in_order():
    normed: list[nn.Module] = []
    for _ in range(40):
        normed += [nn.Linear(12, 12), nn.LayerNorm(12), nn.ReLU()]
    for model in (Skipping(), Rolled(), nn.Sequential(*normed)):
        assert "mirrored_orthogonal" not in methods(model)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU])
def test_the_applied_plan_is_known_for_what_it_is_and_nothing_is_found(activation):
    torch.manual_seed(0)
    model = mlp(40, activation, 16)
    initadvisor.apply(model, initadvisor.advise(model, input_shape=(2, 12)))
    x = torch.randn(256, 12)
    assert float(model(x).detach().std()) == pytest.approx(1.0, rel=0.3)
    report = initadvisor.check(model, input_shape=(2, 12))
    assert not [f for f in report.findings if f.severity != "info"]
    assert {layer.drawn_from.method for layer in report.layers} == {"mirrored_orthogonal"}
    again = initadvisor.advise(model, input_shape=(2, 12))
    assert [step.method for step in again if step.parameter.endswith("weight")] == 41 * ["mirrored_orthogonal"]
