"""Selectors and parameter overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from initadvisor.errors import UsageError
from initadvisor.rules import Rule, RuleSet, override, parse_param, parse_text, select
from tests.rules.samples import block, rule_text


def _rule(rule_id: str, name: str, category: str, status: str = "stable") -> Rule:
    title = f"# {rule_id} `{name}`"
    text = rule_text(block(status=f'"{status}"', p="{ low = 0.5, names = ['a'], on = true }"), title=title)
    if status == "removed":
        keys = 'status = "removed"\nsince = "0.1"\nremoved = "0.2"\nreplaced_by = ["T201"]'
        text = f"{title}\n```toml rule\n{keys}\n```\n"
    return parse_text(text, Path(f"{category}/{rule_id}.md"))


RULES = RuleSet(
    {
        rule.id: rule
        for rule in (
            _rule("T101", "gain-too-small", "variance"),
            _rule("T102", "gain-too-large", "variance"),
            _rule("T111", "new-idea", "variance", "preview"),
            _rule("T201", "no-activation", "structure"),
            _rule("T202", "old-idea", "structure", "deprecated"),
            _rule("T203", "gone-idea", "structure", "removed"),
        )
    }
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "T101 T102 T201"),
        ({"preview": True}, "T101 T102 T111 T201"),
        ({"select": ["T1"]}, "T101 T102"),
        ({"select": ["t1"], "preview": True}, "T101 T102 T111"),
        ({"select": ["variance"]}, "T101 T102"),
        ({"select": ["gain-too-small"]}, "T101"),
        ({"select": ["T111"]}, "T111"),
        ({"select": ["T202"]}, "T202"),
        ({"ignore": ["T1"]}, "T201"),
        ({"ignore": ["T1"], "extend_select": ["T101"]}, "T101 T201"),
        ({"select": ["T1"], "ignore": ["T101"]}, "T102"),
        ({"select": ["T101"], "ignore": ["T1"]}, "T101"),
        ({"select": ["ALL"], "ignore": ["structure"]}, "T101 T102"),
        ({"extend_select": ["T111"]}, "T101 T102 T111 T201"),
    ],
)
def test_the_most_specific_selector_decides(options: dict[str, list[str]], expected: str) -> None:
    assert " ".join(rule.id for rule in select(RULES, **options)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select": ["T9"]}, 'no rule answers to "T9"'),
        ({"select": ["gain-to-small"]}, r'did you mean "gain-too-small"\?'),
        ({"ignore": ["T110"]}, 'no rule answers to "T110"'),
        ({"select": [""]}, 'no rule answers to ""'),
        ({"select": ["T203"]}, r"T203 was removed in 0\.2 \(use T201\)"),
        ({"select": ["T101"], "ignore": ["T101"]}, "no rule is left"),
    ],
)
def test_a_selector_that_means_nothing_is_refused(options: dict[str, list[str]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        select(RULES, **options)  # type: ignore[arg-type]


def test_parameters_are_replaced_in_their_rule_only() -> None:
    rules = override(select(RULES), {"T101.low": 1, "t102.names": ["b", "c"]}, RULES)
    values = {rule.id: rule.active.p for rule in rules}
    assert values["T101"] == {"low": 1.0, "names": ["a"], "on": True}
    assert isinstance(values["T101"]["low"], float)
    assert values["T102"]["names"] == ["b", "c"]
    assert RULES.rules["T101"].active.p["low"] == 0.5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"T901.low": 1}, 'there is no rule "T901"'),
        ({"T101.lo": 1}, r'no parameter "lo" \(did you mean "low"\?\)'),
        ({"T101.zzz": 1}, "it has low, names, on"),
        ({"T101.low": "high"}, '"T101.low" is a number'),
        ({"T101.low": True}, '"T101.low" is a number'),
        ({"T101.on": 1}, '"T101.on" is true or false'),
        ({"T101.names": [1]}, "list of text each"),
        ({"T203.low": 1}, "there is no rule"),
    ],
)
def test_a_parameter_that_does_not_exist_or_fit_is_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        override(select(RULES), params, RULES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IA101.low=0.4", ("IA101.low", 0.4)),
        ("IA101.low = 1e-5", ("IA101.low", 1e-5)),
        ("IA101.names=['a', 'b']", ("IA101.names", ["a", "b"])),
        ("IA101.on=true", ("IA101.on", True)),
        ("IA101.word=relu", ("IA101.word", "relu")),
    ],
)
def test_command_line_parameters_are_toml_values(text: str, expected: tuple[str, object]) -> None:
    assert parse_param(text) == expected


@pytest.mark.parametrize("text", ["", "IA101", "IA101=3", "IA101.low", "=3", "a.b.c=1"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"RULE\.PARAMETER=VALUE"):
        parse_param(text)
