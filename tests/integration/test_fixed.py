"""`fix`, then `check`: nothing is left to find, on every fault that is planted and on every host of one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.engine import plan_for
from initadvisor.plan import Plan
from tests.integration.faults import CASES, MLP, RESNET18, VGG11, Case, he_mlp, plant, sigmoid_stack, xavier_stack
from tests.integration.judging import checker, named

LIGHT = (MLP, RESNET18)
"""Hosts small enough to be drawn as a whole for each of their faults."""

SCALES = ("x10", "x0.1", "zeroed", "fan_out-for-fan_in")
"""Faults that rules judge by a layer's place, which are planted in the large hosts too."""


def fixed(model: nn.Module, shape: tuple[int, ...], *, only_flagged: bool = False) -> Plan:
    """The model with its own plan applied, and that plan."""
    plan = plan_for(checker(shape).examine(model), only_flagged=only_flagged)
    initadvisor.apply(model, plan)
    return plan


def broken(case: Case) -> nn.Module:
    """A case's model with its fault."""
    torch.manual_seed(1)
    model = case.host.build()
    plant(model, case.host.layer, case.fault)
    return model


def left(model: nn.Module, shape: tuple[int, ...]) -> set[tuple[str, str]]:
    """What a check still finds, remarks aside."""
    return named(checker(shape).check(model), "error", "warning")


@pytest.mark.parametrize("case", [c for c in CASES if c.host in LIGHT or c.fault in SCALES], ids=lambda c: c.label)
def test_what_a_rule_flags_is_mended_alone(case: Case) -> None:
    model, shape = broken(case), case.host.input_shape
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    plan = fixed(model, shape, only_flagged=True)
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    drawn = {step.parameter for step in plan.draws}
    assert changed <= drawn
    assert all(name.endswith("bias") for name in drawn - changed)  # zeros, as they were
    assert "everywhere" in case.fault or any(name.startswith(case.host.layer) for name in changed)
    assert left(model, shape) == set()


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.host in LIGHT or (c.host is VGG11 and "everywhere" in c.fault)],
    ids=lambda c: c.label,
)
def test_a_whole_model_drawn_anew_is_clean(case: Case) -> None:
    model = broken(case)
    fixed(model, case.host.input_shape)
    assert left(model, case.host.input_shape) == set()


def tanh_stack() -> nn.Sequential:
    """60 tanh layers with PyTorch's default draw."""
    stack = [module for _ in range(60) for module in (nn.Linear(64, 64), nn.Tanh())]
    return nn.Sequential(*stack, nn.Linear(64, 10))


class Stream(nn.Module):
    """20 residual blocks without a norm, drawn by He's rule: the stream's variance doubles in each."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(he_mlp(1, 64)[:2].append(nn.Linear(64, 64)) for _ in range(20))
        self.head = nn.Linear(64, 10)
        for block in self.blocks:
            nn.init.kaiming_normal_(block[2].weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


@pytest.mark.parametrize("only_flagged", [False, True])
@pytest.mark.parametrize("build", [xavier_stack, sigmoid_stack, tanh_stack, Stream])
def test_a_fault_that_many_layers_share_is_mended_in_all_of_them(build, only_flagged: bool) -> None:
    torch.manual_seed(1)
    model = build()
    assert named(checker((4, 64)).check(model), "error")
    fixed(model, (4, 64), only_flagged=only_flagged)
    once = {name: p.detach().clone() for name, p in model.named_parameters()}
    assert left(model, (4, 64)) == set()
    again = fixed(model, (4, 64), only_flagged=only_flagged)
    assert all(torch.equal(p, once[name]) for name, p in model.named_parameters())
    assert not (only_flagged and again.draws)


def test_fixing_twice_gives_the_same_bits_from_any_start() -> None:
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = RESNET18.build()
        for _ in range(seed):
            fixed(model, RESNET18.input_shape)
        drawn.append(model.state_dict())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
