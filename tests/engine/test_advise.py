"""`initadvisor.advise` and `initadvisor.apply` on live modules."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.engine import Checker
from initadvisor.engine.advising import fitted, plan_for
from initadvisor.errors import ConfigError, LoadError, UsageError
from initadvisor.initializers import InitSpec
from initadvisor.plan import Override, Plan
from tests.cli.running import environment
from tests.integration.faults import xavier_stack

SHAPE = (2, 64)


def stack(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return xavier_stack()


def trained_stack() -> nn.Sequential:
    """Four layers whose weights have the spectrum that training leaves: low rank on top of heavy-tailed noise."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(4):
        linear = nn.Linear(64, 64)
        with torch.no_grad():
            noise = torch.distributions.StudentT(3.0).sample((64, 64)) * 0.05
            linear.weight.copy_(noise + torch.randn(64, 4) @ torch.randn(4, 64) * 0.2)
            linear.bias.copy_(torch.distributions.StudentT(3.0).sample((64,)) * 0.1)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("only_flagged", [False, True])
def test_a_broken_stack_is_clean_after_its_plan(only_flagged: bool) -> None:
    model = stack()
    assert initadvisor.check(model, input_shape=SHAPE).worst() == "error"
    plan = initadvisor.advise(model, input_shape=SHAPE, only_flagged=only_flagged)
    applied = initadvisor.apply(model, plan)
    assert applied.drawn == tuple(step.parameter for step in plan.draws)
    after = initadvisor.check(model, input_shape=SHAPE)
    assert after.worst() in (None, "info"), after.findings
    assert "IA103" not in {finding.rule for finding in after.findings}


def test_advice_changes_nothing() -> None:
    model = stack()
    before, random = state(model), torch.get_rng_state()
    initadvisor.advise(model, input_shape=SHAPE)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_the_same_plan_gives_the_same_bits_whatever_was_there() -> None:
    models = [stack(seed) for seed in (0, 1)]
    plan = initadvisor.advise(models[0], input_shape=SHAPE, seed=3)
    for model in models:
        initadvisor.apply(model, plan)
    first, second = (state(model) for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    initadvisor.apply(models[1], initadvisor.advise(models[1], input_shape=SHAPE, seed=4))
    assert not torch.equal(state(models[1])["0.weight"], first["0.weight"])


def test_only_what_a_rule_names_is_drawn() -> None:
    model = stack()
    plan = initadvisor.advise(model, input_shape=SHAPE, only_flagged=True)
    findings = initadvisor.check(model, input_shape=SHAPE).findings
    flagged = {finding.subject.tensor for finding in findings}
    drawn = {step.parameter for step in plan.draws}
    assert drawn
    # What is not named itself lies in the stretch that the finding at its end is about.
    assert {rule for step in plan.draws for rule in step.rules if step.parameter not in flagged} <= {"IA103"}
    assert all(step.spec is None for step in plan.steps if not step.rules)
    assert not initadvisor.advise(
        model, input_shape=SHAPE, only_flagged=True, ignore=["IA103", "IA118", "signal"]
    ).draws  # nothing is flagged where no rule looks


def test_a_fault_of_the_whole_model_is_mended_in_all_of_it() -> None:
    def block() -> list[nn.Module]:
        last = nn.BatchNorm2d(8)
        nn.init.zeros_(last.weight)  # two of these on the only path: nothing can ever wake up
        return [nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1), last]

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), *block(), *block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )
    shape = (2, 3, 16, 16)
    assert "IA501" in {finding.rule for finding in initadvisor.check(model, input_shape=shape).findings}
    initadvisor.apply(model, initadvisor.advise(model, input_shape=shape, only_flagged=True))
    assert initadvisor.check(model, input_shape=shape).worst() in (None, "info")


def test_policies_win_over_presets_and_the_last_entry_wins() -> None:
    policy = {"*.weight": {"method": "normal", "std": 0.5}, "60.*": {"method": "zeros"}, "0": "keep", "0.*": "keep"}
    plan = initadvisor.advise(stack(), input_shape=SHAPE, preset="orthogonal", policy=policy)
    methods = {step.parameter: step.method for step in plan.steps}
    assert {methods["60.weight"], methods["60.bias"]} == {"zeros"}
    assert {methods["0.weight"], methods["0.bias"]} == {"keep"}
    assert methods["2.weight"] == "normal"
    direct = initadvisor.advise(stack(), input_shape=SHAPE, policy=[Override("60.*", InitSpec("zeros"))])
    assert direct.step("60.weight").method == "zeros"  # type: ignore[union-attr]


def test_what_means_nothing_is_refused_before_the_model_is_read() -> None:
    with pytest.raises(UsageError, match=r'no preset "gptt".*did you mean "gpt"'):
        initadvisor.advise("missing.onnx", preset="gptt")
    with pytest.raises(ConfigError, match="did you mean zeros"):
        initadvisor.advise("missing.onnx", policy={"*": {"method": "zeross"}})
    with pytest.raises(LoadError):
        initadvisor.advise("missing.onnx")


def test_what_has_learned_is_left_alone_unless_asked() -> None:
    model = trained_stack()
    careful = initadvisor.advise(model, input_shape=SHAPE)
    kept = {step.parameter for step in careful.steps if step.spec is None}
    assert {"0.weight", "2.weight", "4.weight", "6.weight"} <= kept
    bold = initadvisor.advise(model, input_shape=SHAPE, include_trained=True)
    assert {step.parameter for step in bold.draws} == {step.parameter for step in bold.steps}
    assert bold.step("2.weight").safe is False  # type: ignore[union-attr]
    before = state(model)
    initadvisor.apply(model, careful)
    assert all(torch.equal(before[name], model.state_dict()[name]) for name in kept)


def test_a_plan_from_before_training_spares_what_was_learned_since() -> None:
    fresh = nn.Sequential(*(m for _ in range(4) for m in (nn.Linear(64, 64), nn.ReLU())))[:-1]
    plan = initadvisor.advise(fresh, input_shape=SHAPE)
    assert plan.step("2.weight").spec is not None  # type: ignore[union-attr]
    examined = Checker().examine(trained_stack())
    careful, bold = fitted(plan, examined), fitted(plan, examined, include_trained=True)
    assert careful.step("2.weight").spec is None  # type: ignore[union-attr]
    assert bold.step("2.weight").spec == plan.step("2.weight").spec  # type: ignore[union-attr]
    std = float(examined.view.measured["2.weight"].std or 0.0)
    assert bold.step("2.weight").std_before == pytest.approx(std)  # type: ignore[union-attr]


def test_a_plan_for_another_model_is_refused() -> None:
    plan = initadvisor.advise(stack(), input_shape=SHAPE)
    with pytest.raises(UsageError, match="does not have"):
        fitted(plan, Checker().examine(nn.Linear(64, 64)))
    with pytest.raises(UsageError, match=r"in shape \(32, 64\), not \(64, 64\)"):
        fitted(plan, Checker().examine(nn.Sequential(nn.Linear(64, 32))))


def test_a_plan_survives_json() -> None:
    plan = plan_for(Checker().examine(stack()), seed=7)
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("first", ["pass", "import initadvisor.apply.torch_module"])
def test_apply_can_be_called_before_and_after_its_package_is_imported(first: str) -> None:
    code = f"""
import torch, initadvisor
{first}
model = torch.nn.Linear(8, 8)
plan = initadvisor.advise(model, input_shape=(2, 8))
print(initadvisor.apply(model, plan).drawn)
import initadvisor.apply.torch_module
print(initadvisor.apply(model, plan).drawn)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "('weight', 'bias')\n" * 2, done.stderr
