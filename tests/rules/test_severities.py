"""Rules at another severity than their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from initadvisor.errors import UsageError
from initadvisor.rules import RuleSet
from initadvisor.rules.severities import regrade
from tests.rules.samples import rule

FIRST = replace(rule(), category="variance")
SECOND = replace(FIRST, id="T102", name="other-rule")
KNOWN = RuleSet({each.id: each for each in (FIRST, SECOND)})


def _graded(severity: dict[str, str]) -> dict[str, str]:
    return {each.id: each.active.severity for each in regrade(list(KNOWN), severity, KNOWN)}


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ({}, {"T001": "error", "T102": "error"}),
        ({"T102": "warning"}, {"T001": "error", "T102": "warning"}),
        ({"variance": "info", "other-rule": "error"}, {"T001": "info", "T102": "error"}),
        ({"T1": "warning", "ALL": "info"}, {"T001": "info", "T102": "warning"}),
        ({"T001": "off"}, {"T102": "error"}),
        ({"ALL": "off", "T001": "info"}, {"T001": "info"}),
    ],
)
def test_the_most_specific_selector_decides(severity: dict[str, str], expected: dict[str, str]) -> None:
    assert _graded(severity) == expected


@pytest.mark.parametrize(
    ("severity", "message"),
    [
        ({"T999": "info"}, 'no rule answers to "T999"'),
        ({"T001": "fatal"}, 'there is no severity "fatal"'),
        ({"ALL": "off"}, "no rule is left to run"),
    ],
)
def test_what_means_nothing_is_refused(severity: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _graded(severity)
