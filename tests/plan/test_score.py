"""A plan scored before and after, against the closed forms of plain stacks."""

from __future__ import annotations

import json
from math import sqrt

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.plan import Plan
from initadvisor.report.plan_text import plan_as_text


def _shrinking(depth: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layer = nn.Linear(64, 64, bias=False)
        nn.init.orthogonal_(layer.weight, gain=0.5)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 10, bias=False))


def test_the_spread_of_a_shrinking_stack_and_of_its_plan() -> None:
    plan = initadvisor.advise(_shrinking(8), input_shape=(4, 64))
    found = plan.signal
    assert found is not None
    assert found.places == 8
    # Each layer keeps 0.25 / 2 of the second moment, forward and back.
    assert found.before.forward == pytest.approx(sqrt(8.0**7), rel=0.1)
    assert found.before.gradient == pytest.approx(sqrt(8.0**7), rel=0.1)
    assert found.after.forward == pytest.approx(1.0, rel=0.1)
    assert (found.after.gradient or 0.0) < 2.0


def test_the_score_survives_json_and_is_shown() -> None:
    plan = initadvisor.advise(_shrinking(4), input_shape=(4, 64))
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    text = plan_as_text(plan)  # sqrt(8^3) = 22.6, less the mean that the weights happen to have
    assert "predicted spread over 4 places of the trunk" in " ".join(text.split())
    assert "signal 22x -> 1x" in " ".join(text.split())


def test_a_branch_that_starts_closed_does_not_count() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(32, 32), nn.Linear(32, 32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.b(torch.relu(self.a(x)))

    plan = initadvisor.advise(nn.Sequential(*[Block() for _ in range(6)], nn.Linear(32, 4)), input_shape=(4, 32))
    assert plan.signal is not None
    assert plan.signal.after.forward == pytest.approx(1.0)


def test_an_older_plan_without_a_score_is_read() -> None:
    plan = initadvisor.advise(_shrinking(2), input_shape=(4, 64))
    data = plan.to_json()
    del data["signal"]
    assert Plan.from_json(data).signal is None
