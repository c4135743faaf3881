"""`assert_init_ok`: what it says, what it lets through, and that it leaves the model alone."""

from __future__ import annotations

import pytest
import torch

import initadvisor
from initadvisor.errors import InitAdvisorError, UsageError
from initadvisor.integrations.assertion import InitNotOk, assert_init_ok
from tests.integrations.models import bad, good
from tests.probe.digest import digest


def test_a_model_that_starts_well_passes_and_gives_its_report() -> None:
    report = assert_init_ok(good())
    assert report.verdict == "clean"
    assert initadvisor.assert_init_ok is assert_init_ok


def test_the_message_says_what_where_and_what_to_do() -> None:
    with pytest.raises(InitNotOk, match="does not start well") as caught:
        assert_init_ok(bad())
    text = str(caught.value)
    found = [f for f in caught.value.reports[0].findings if f.severity == "error"]
    assert found
    for finding in found:
        assert finding.rule in text
        assert finding.message in text
        assert finding.subject.name in text
    assert "fix: " in text
    assert isinstance(caught.value, AssertionError)


def test_fail_on_decides_which_severity_fails() -> None:
    model = good()
    torch.nn.init.constant_(model[2].bias, 3.0)
    report = initadvisor.check(model)
    assert report.worst() == "warning"
    assert_init_ok(model)
    with pytest.raises(InitNotOk, match="warning"):
        assert_init_ok(model, fail_on="warning")
    assert_init_ok(model, fail_on="warning", ignore=[f.rule for f in report.findings])


def test_a_probe_finds_what_only_running_shows_and_changes_nothing() -> None:
    model = good()
    batch = (torch.full((16, 64), float("nan")), torch.randint(0, 10, (16,)))
    assert_init_ok(model, batch=batch)
    before = digest(model)
    with pytest.raises(InitNotOk, match="does not start well") as caught:
        assert_init_ok(model, batch=batch, loss=torch.nn.functional.cross_entropy, probe=True)
    assert "IA601" in str(caught.value)
    assert digest(model) == before


def test_many_layers_with_one_fault_are_counted_not_listed() -> None:
    layers = [part for _ in range(12) for part in (torch.nn.Linear(64, 64), torch.nn.ReLU())]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 2))
    for layer in layers[::2]:
        torch.nn.init.constant_(layer.weight, float("nan"))
    with pytest.raises(InitNotOk, match=r"and \d+ more"):
        assert_init_ok(model)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="it is one of error, warning, info"):
        assert_init_ok(good(), fail_on="fatal")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="probe=True"):
        assert_init_ok(good(), loss=torch.nn.functional.cross_entropy)


class Raises(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("the licence server is away")


def test_a_model_that_raises_fails_in_a_few_lines_of_traceback() -> None:
    with pytest.raises(InitNotOk, match=r"not checked: .*the licence server is away at .*test_assertion\.py"):
        assert_init_ok(Raises())
    with pytest.raises(InitAdvisorError, match="the licence server is away") as caught:
        assert_init_ok(Raises(), batch=torch.randn(2, 4), select=["IA001"], probe=True)
    files = [entry.path.name for entry in caught.traceback]
    assert files == ["test_assertion.py", "assertion.py"]
    assert caught.value.__suppress_context__


def test_a_model_without_weights_is_not_taken_for_a_sound_one() -> None:
    with pytest.raises(InitNotOk, match="no float parameter"):
        assert_init_ok(torch.nn.ReLU())
    with pytest.raises(InitAdvisorError, match="nowhere"):
        assert_init_ok("nowhere.onnx")
