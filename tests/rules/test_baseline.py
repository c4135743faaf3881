"""The baseline file: round trip, what is new, what is gone, what is no baseline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initadvisor.errors import ConfigError
from initadvisor.rules.baseline import baseline_of, read_baseline
from tests.report.samples import HOSTILE, finding

OLD = {"a.onnx": [finding("IA101", "x"), finding("IA102", HOSTILE)], "b.onnx": [finding("IA101", "x")]}


def test_what_was_accepted_stays_accepted_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    path.write_text(baseline_of(OLD).as_text())
    read = read_baseline(path)
    assert all(read.holds(target, f) for target, findings in OLD.items() for f in findings)
    assert not read.holds("b.onnx", finding("IA102", HOSTILE))
    assert not read.holds("c.onnx", finding("IA101", "x"))
    assert read.holds("a.onnx", finding("IA101", "x", "warning", "another message after an upgrade"))


def test_prune_and_update_touch_only_targets_that_were_checked() -> None:
    base = baseline_of(OLD)
    now = {"a.onnx": [finding("IA101", "x"), finding("IA104", "new")]}
    assert [(e.target, e.rule) for e in base.gone(now)] == [("a.onnx", "IA102")]
    assert sorted((e.target, e.rule) for e in base.pruned(now).entries.values()) == [
        ("a.onnx", "IA101"),
        ("b.onnx", "IA101"),
    ]
    assert sorted((e.target, e.rule) for e in base.updated(now).entries.values()) == [
        ("a.onnx", "IA101"),
        ("a.onnx", "IA104"),
        ("b.onnx", "IA101"),
    ]


@given(st.dictionaries(st.text(), st.lists(st.tuples(st.sampled_from(["IA1", "IA2"]), st.text()))))
def test_the_text_does_not_depend_on_order(found: dict[str, list[tuple[str, str]]]) -> None:
    made = {target: [finding(rule, name) for rule, name in rows] for target, rows in found.items()}
    turned = {target: rows[::-1] for target, rows in reversed(made.items())}
    assert baseline_of(made).as_text() == baseline_of(turned).as_text()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema_version": "9"}', json.dumps({"findings": [{"rule": 1}]}), '{"extra": 1}']
)
def test_what_is_no_baseline_is_refused_with_the_command_that_makes_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "base.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_baseline(path)
    assert "baseline create" in str(caught.value.hint)


def test_a_missing_baseline_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the baseline"):
        read_baseline(tmp_path / "none.json")
