"""Suppressions that a file brings along: data with bounds, that can neither raise nor be obeyed unasked."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from initadvisor.engine import Checker, CheckSettings
from initadvisor.frontends.onnx_model.carried import KEY, MAX_CHARACTERS, carried
from initadvisor.report import Report
from tests.cli.models import poisoned


def _carrying(path: Path, *texts: str) -> Path:
    model = onnx.load(poisoned(path))
    for text in texts:
        entry = model.metadata_props.add()
        entry.key, entry.value = KEY, text
    onnx.save(model, path)
    return path


def _report(path: Path, obey: bool) -> Report:
    return Checker(CheckSettings(model_suppressions=obey)).check(path)


GOOD = [{"layers": "fc0*", "rules": ["IA001"], "reason": "known"}]


def test_a_file_hides_nothing_unless_it_is_trusted_and_even_then_all_is_listed(tmp_path: Path) -> None:
    path = _carrying(tmp_path / "m.onnx", json.dumps(GOOD))
    strict, trusting = _report(path, False), _report(path, True)
    assert [f.rule for f in strict.findings] == ["IA001"]
    assert any("1 suppression, not obeyed" in note for note in strict.coverage.notes)
    assert (trusting.verdict, trusting.findings) == ("clean", ())
    [apart] = trusting.suppressed
    assert (apart.finding.rule, apart.kind, apart.reason) == ("IA001", "model", "known")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[" * 60_000, "is not JSON"),
        ("1" * 60_000, "is not JSON"),
        ("{}", "is not a list"),
        ("[1, null, {}]", "3 of 3 entries"),
        (json.dumps([{"layers": "*"}]), "1 of 1 entries"),
        (json.dumps([{"reason": "x", "layers": []}]), "1 of 1 entries"),
        (json.dumps([{"reason": "x", "layers": ["a" * 2000]}]), "1 of 1 entries"),
        (json.dumps([{"reason": "x", "rules": 3}]), "1 of 1 entries"),
        (json.dumps([{"reason": "x", "code": "run"}]), "1 of 1 entries"),
        (json.dumps([{"reason": "x"}] * 300), "is not a list of up to 256"),
        (json.dumps([{"reason": "x" * MAX_CHARACTERS}]), "is longer than"),
    ],
)
def test_what_cannot_be_used_is_a_note_and_accepts_nothing(tmp_path: Path, text: str, said: str) -> None:
    report = _report(_carrying(tmp_path / "m.onnx", text), True)
    assert any(said in note for note in report.coverage.notes)
    assert [f.rule for f in report.findings] == ["IA001"]
    assert not report.suppressed


def test_two_entries_are_refused_as_a_whole(tmp_path: Path) -> None:
    model = onnx.load(_carrying(tmp_path / "m.onnx", json.dumps(GOOD), json.dumps(GOOD)))
    assert carried(model) == ([], "the file holds 2 entries initadvisor.suppress")


@pytest.mark.parametrize(
    "row",
    [
        {"reason": "x", "expires": "yesterday"},
        {"reason": "x", "expires": "2020-01-01"},
        {"reason": "x", "rules": ["NO999"]},
        {"reason": "\ud800\u202e", "layers": ["*a" * 500]},
    ],
)
def test_a_trusted_file_cannot_fail_a_run_either(tmp_path: Path, row: dict[str, object]) -> None:
    report = _report(_carrying(tmp_path / "m.onnx", json.dumps([row])), True)
    assert [f.rule for f in report.findings] == ["IA001"]
    assert not report.unused_suppressions
