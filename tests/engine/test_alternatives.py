"""Alternatives carry figures of a graph that has them, and these agree with a check of the real thing."""

from __future__ import annotations

import torch
from torch import nn

import initadvisor
from initadvisor.plan import Plan
from initadvisor.plan.alternatives import Alternative
from initadvisor.report.plan_text import plan_as_text


def _stack(act: type[nn.Module], depth: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*[m for _ in range(depth) for m in (nn.Linear(64, 64), act())], nn.Linear(64, 10))


def _by_change(model: nn.Module, *shape: int) -> dict[str, Alternative]:
    plan = initadvisor.advise(model, input_shape=shape)
    assert Plan.from_json(plan.to_json()) == plan
    return {each.change: each for each in plan.alternatives}


def test_a_deep_sigmoid_stack_is_told_of_an_activation_that_trains() -> None:
    found = _by_change(_stack(nn.Sigmoid, 12), 4, 64)
    now, other = found["as it is"].outlook, found["relu in place of sigmoid"].outlook
    assert now.risk is not None
    assert other.risk is not None
    assert now.risk > 0.9
    assert other.risk < 0.3
    # The figures of the change are those of the changed model once its weights are drawn as advised.
    real = _stack(nn.ReLU, 12)
    initadvisor.apply(real, initadvisor.advise(real, input_shape=(4, 64)))
    seen = initadvisor.advise(real, input_shape=(4, 64)).alternatives[0].outlook
    assert seen.risk is not None
    assert abs(seen.risk - other.risk) < 0.05


def test_batch_norms_are_not_offered_as_a_cure_where_the_gradient_would_explode() -> None:
    found = _by_change(_stack(nn.ReLU, 100), 4, 64)
    explodes = found["batch norms over 32 samples before activations"].outlook
    assert explodes.gradient is not None
    assert explodes.gradient > 1e4  # 1.21 a layer and more, arXiv 1902.08129
    planned = found["with the weights of this plan"].outlook
    assert planned.risk is not None
    assert explodes.risk is not None
    assert planned.risk < 0.5 < explodes.risk


def test_a_model_with_norms_and_unbounded_activations_has_only_its_plan() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
    assert [each.kind for each in initadvisor.advise(net, input_shape=(4, 3, 8, 8)).alternatives] == ["draw", "draw"]


def test_the_text_ranks_them_by_risk() -> None:
    text = plan_as_text(initadvisor.advise(_stack(nn.Tanh, 30), input_shape=(4, 64)), columns=120)
    rows = [line for line in text.splitlines() if "  risk " in line]
    assert len(rows) == 7
    risks = [int(line.split("risk ")[1].split("%")[0]) for line in rows]
    assert risks == sorted(risks)
    assert "as it is" in rows[-1]


def test_what_is_drawn_anew_is_no_longer_alike() -> None:
    net = _stack(nn.Tanh, 4)
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.weight, 0.02)
    found = _by_change(net, 4, 64)
    now, planned = found["as it is"].outlook.risk, found["with the weights of this plan"].outlook.risk
    net = _stack(nn.Tanh, 4)
    initadvisor.apply(net, initadvisor.advise(net, input_shape=(4, 64)))
    fresh = _by_change(net, 4, 64)["as it is"].outlook.risk
    assert now is not None
    assert planned is not None
    assert fresh is not None
    assert planned < 0.5 * now
    assert abs(planned - fresh) < 0.05
