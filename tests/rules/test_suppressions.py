"""Accepted findings: what covers what, until when, and what covers nothing."""

from __future__ import annotations

import datetime

import pytest

from initadvisor.errors import UsageError
from initadvisor.rules import discover
from initadvisor.rules.suppressions import Suppression, check_selectors, suppress
from tests.report.samples import finding

TODAY = datetime.date(2026, 11, 21)
RULES = list(discover([]))
FINDINGS = [finding("IA101", "backbone.conv1"), finding("IA102", "backbone.conv1"), finding("IA101", "head")]


def _kept(*suppressions: Suppression) -> list[tuple[str, str]]:
    return [(f.rule, f.subject.name) for f in suppress(FINDINGS, suppressions, RULES, TODAY).kept]


@pytest.mark.parametrize(
    ("layers", "rules", "kept"),
    [
        ("backbone.*", (), [("IA101", "head")]),
        ("backbone.*", ("IA101",), [("IA102", "backbone.conv1"), ("IA101", "head")]),
        ("*", ("gain-too-large",), [("IA101", "backbone.conv1"), ("IA101", "head")]),
        ("*", ("variance",), []),
        ("*", ("ia1",), []),
        ("*.weight", ("IA102",), [("IA101", "backbone.conv1"), ("IA101", "head")]),
        ("Backbone.*", (), [("IA101", "backbone.conv1"), ("IA102", "backbone.conv1"), ("IA101", "head")]),
    ],
)
def test_a_suppression_covers_by_glob_and_selector(
    layers: str, rules: tuple[str, ...], kept: list[tuple[str, str]]
) -> None:
    assert _kept(Suppression((layers,), "known", rules)) == kept


def test_the_last_day_counts_and_the_next_does_not() -> None:
    last = Suppression(("*",), "until the release", expires=TODAY)
    over = Suppression(("*",), "until the release", expires=TODAY - datetime.timedelta(days=1))
    assert not _kept(last)
    result = suppress(FINDINGS, [over], RULES, TODAY)
    assert len(result.kept) == 3
    assert result.expired == [over]
    assert not result.unused


def test_what_covers_nothing_is_named_and_the_first_that_covers_has_it() -> None:
    idle = Suppression(("neck.*",), "typo")
    first, second = Suppression(("head",), "prior"), Suppression(("*",), "all")
    result = suppress(FINDINGS, [idle, first, second], RULES, TODAY)
    assert result.unused == [idle]
    assert [s for f, s in result.suppressed if f.subject.name == "head"] == [first]
    assert not result.kept


def test_a_misspelt_rule_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        check_selectors([Suppression(("*",), "x", ("gain-to-small",))], RULES)
    assert "gain-too-small" in str(caught.value.hint)
    check_selectors([Suppression(("*",), "x", ("IA1", "tensor", "ALL"))], RULES)
