"""Gains from the signal that reaches a layer: what no table knows, measured on the drawn network."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import nn

from initadvisor.apply.torch_module import apply
from initadvisor.plan import Plan
from tests.plan.plans import plan_of


def gain(plan: Plan, name: str) -> float:
    """std sqrt(fan_in) of what is planned."""
    step = plan.step(name)
    assert step is not None
    assert step.layout is not None
    return (step.std_after or 0.0) * sqrt(step.layout.fan_in(step.shape))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.SELU, nn.Mish, nn.Tanh, nn.Sigmoid])
def test_a_plain_stack_keeps_the_gains_of_the_table(activation: type[nn.Module]) -> None:
    torch.manual_seed(0)
    layers = [m for _ in range(3) for m in (nn.Linear(64, 64), activation())]
    plan = plan_of(nn.Sequential(*layers, nn.Linear(64, 4)), (4, 64))
    assert not any("reaches it" in step.reason for step in plan)


class Mixed(nn.Module):
    """A pool, a product and a sum between the layers: nothing of that is in a table of activations."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(8, 64, 3, padding=1)
        self.b = nn.Conv2d(64, 128, 3, padding=1)
        self.c = nn.Conv2d(64, 96, 1)
        self.d = nn.Linear(96, 96)
        self.e = nn.Linear(96, 96)
        self.head = nn.Linear(96, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.max_pool2d(torch.relu(self.a(x)), 2)
        left, right = self.b(x).chunk(2, dim=1)
        x = self.c(left + 3.0 * torch.relu(right)).mean((2, 3))
        return self.head(torch.relu(self.e(torch.relu(self.d(x)))))


def test_the_drawn_network_has_the_second_moments_that_the_gains_are_for_behind_pools_and_sums() -> None:
    torch.manual_seed(0)
    model = Mixed()
    plan = plan_of(model, (4, 8, 16, 16))
    seen: dict[str, list[float]] = {name: [] for name in "abc"}
    for name, values in seen.items():
        module = getattr(model, name)
        module.register_forward_hook(lambda _m, _i, out, values=values: values.append(float(out.square().mean())))
    for seed in range(8):
        apply(model, plan.with_seed(seed))
        with torch.no_grad():
            model(torch.randn(16, 8, 16, 16))
    # One draw of 64 channels is off by a quarter; zero padding takes up to 15% at the borders of these small maps.
    means = {name: sum(values) / len(values) for name, values in seen.items()}
    assert means == pytest.approx({"a": 2.0, "b": 1.0, "c": 1.0}, rel=0.2)


def test_what_is_asked_for_and_what_a_norm_rescales_stay_as_they_are() -> None:
    layers = [m for _ in range(3) for m in (nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU())]
    plan = plan_of(nn.Sequential(*layers, nn.Linear(64, 4)), (4, 64))
    assert [plan.step(f"{place}.weight").method for place in (0, 3, 6)] == ["kaiming_normal"] * 3  # type: ignore[union-attr]
    plain = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    asked = plan_of(plain, (4, 64), preset="orthogonal")
    assert asked.step("0.weight").method == "orthogonal"  # type: ignore[union-attr]


def test_a_gain_goes_no_further_than_a_few_times_the_usual_one() -> None:
    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.relu(self.a(1e-2 * x)))

    plan = plan_of(Tiny(), (4, 64))
    assert gain(plan, "a.weight") == pytest.approx(2.5 * sqrt(2.0), rel=1e-2)
    first = plan.step("a.weight")
    assert first is not None
    assert "as far from its usual gain as it is moved" in first.reason
