"""One fault at a time in a healthy model: found by name, by the rule that should, and nothing else at error level."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.integration.faults import CASES, HOSTS, RESNET18, VIT, Case, Host, plant, sigmoid_stack, xavier_stack
from tests.integration.judging import check, named


def _built(host: Host) -> nn.Module:
    torch.manual_seed(1)
    return host.build()


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_the_healthy_twin_has_no_error_and_no_rule_names_its_layer(host: Host) -> None:
    report = check(_built(host), host.input_shape)
    assert named(report, "error") == set()
    assert {rule for rule, subject in named(report, "warning") if subject == host.layer} == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_a_planted_fault_is_named_by_its_rule(case: Case) -> None:
    model = _built(case.host)
    plant(model, case.host.layer, case.fault)
    report = check(model, case.host.input_shape)
    found = {(f.rule, f.severity) for f in report.findings}
    assert (case.rule, case.severity) in found
    whole_model = case.fault == "small-everywhere"
    names = {f.subject.tensor or f.subject.name for f in report.findings if f.rule == case.rule}
    assert whole_model or any(name.startswith(case.host.layer) for name in names)
    assert {rule for rule, _ in named(report, "error")} <= {case.rule}


@pytest.mark.parametrize("build", [xavier_stack, sigmoid_stack])
def test_a_deep_stack_with_the_wrong_recipe_vanishes(build) -> None:
    torch.manual_seed(1)
    report = check(build(), (4, 64))
    assert {rule for rule, _ in named(report, "error")} == {"IA103"}


@pytest.mark.parametrize("host", [RESNET18, VIT], ids=lambda host: host.name)
def test_a_small_fixed_std_behind_norms_is_no_error(host: Host) -> None:
    # N(0, 0.01) is harmless where each layer or branch is normalised: the scale does not reach the loss.
    model = _built(host)
    plant(model, "", "small-everywhere")
    assert named(check(model, host.input_shape), "error") == set()
