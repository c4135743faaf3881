"""`initadvisor.check` on live modules."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.engine import Checker, CheckSettings
from initadvisor.engine.results import first_sentence
from initadvisor.errors import LoadError, RuleError, UsageError


def mlp(depth: int = 8, width: int = 64, std: float | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        if std is not None:
            nn.init.normal_(linear.weight, std=std)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_a_healthy_network_is_clean() -> None:
    report = initadvisor.check(mlp(), input_shape=(2, 64))
    assert report.verdict == "clean", report.findings
    assert report.coverage.parameters == 1.0
    assert report.target == "Sequential"
    assert [row.name for row in report.layers] == [str(2 * n) for n in range(8)]
    assert {(row.fan_in, row.fan_out) for row in report.layers} == {(64.0, 64.0)}
    assert [row.activation for row in report.layers] == ["relu"] * 7 + ["linear"]


def test_a_planted_fault_is_found_by_name() -> None:
    model = mlp()
    with torch.no_grad():
        model[2].weight[3, 3] = float("nan")  # type: ignore[index, union-attr]
    report = initadvisor.check(model, input_shape=(2, 64))
    errors = [finding for finding in report.findings if finding.severity == "error"]
    assert [(finding.rule, finding.subject.tensor or finding.subject.name) for finding in errors] == [
        ("IA001", "2.weight")
    ]
    assert report.verdict == "findings"
    assert report.summary.error == 1


def test_the_model_is_left_as_it_is() -> None:
    model = mlp().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    initadvisor.check(model, input_shape=(2, 64))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_an_empty_run_is_not_a_clean_one() -> None:
    report = initadvisor.check(nn.ReLU(), input_shape=(2, 8))
    assert report.verdict == "not_checked"
    assert report.error is not None
    assert "no float parameter" in report.error.message


class Raises(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(16, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("the licence server is away")


def test_a_model_whose_forward_pass_raises_is_not_clean() -> None:
    report = initadvisor.check(Raises())
    assert report.verdict == "not_checked"
    assert report.error is not None
    assert report.error.kind == "ForwardFailed"
    assert "the forward pass raised RuntimeError: the licence server is away" in report.error.message
    assert "example=" in report.error.message
    assert {row.reason for row in report.not_evaluated} == {
        "no forward pass of the model could be followed, so there is no graph"
    }
    # What was found all the same counts, and rules that need no forward pass give their answer.
    broken = Raises()
    nn.init.constant_(broken.a.weight, float("nan"))
    assert initadvisor.check(broken).verdict == "findings"
    assert initadvisor.check(Raises(), select=["IA001"]).verdict == "clean"


def test_what_cannot_be_read_raises() -> None:
    with pytest.raises(LoadError):
        initadvisor.check("no/such/file.onnx")
    with pytest.raises(LoadError):
        initadvisor.check(42)


def test_settings_that_mean_nothing_raise(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no rule answers"):
        initadvisor.check(mlp(), select=["IA999"])
    with pytest.raises(UsageError, match="has no parameter"):
        initadvisor.check(mlp(), params={"IA101.lwo": 1})
    with pytest.raises(RuleError, match="does not exist"):
        initadvisor.check(mlp(), rules_dirs=[tmp_path / "none"])


def test_the_digest_follows_the_settings() -> None:
    def digest(**settings: object) -> str:
        return Checker(CheckSettings(**settings)).settings_digest  # type: ignore[arg-type]

    rules = Checker().rules
    tunable = next(rule for rule in rules if isinstance(next(iter(rule.active.p.values()), None), float))
    name = next(iter(tunable.active.p))
    assert digest() == digest()
    assert len({digest(), digest(ignore=("IA001",)), digest(params={f"{tunable.id}.{name}": 1e-9})}) == 3


def test_one_checker_serves_many_models() -> None:
    checker = Checker()
    assert checker.check(mlp()).verdict == checker.check(mlp(depth=4)).verdict == "clean"


@pytest.mark.parametrize(
    ("prose", "sentence"),
    [
        ("One thing. Another.", "One thing. Another."),
        ("The signal dies in depth. It does.", "The signal dies in depth."),
        ("At 0.5 of the gain, ten layers\nleave nothing.\n\nMore.", "At 0.5 of the gain, ten layers leave nothing."),
        ("", ""),
    ],
)
def test_why_is_one_sentence(prose: str, sentence: str) -> None:
    assert first_sentence(prose) == sentence
