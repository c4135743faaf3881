"""Accepted findings in reports for people: each suppression with its reason, however many it covers."""

from __future__ import annotations

import pytest

from initadvisor.report import render
from initadvisor.report.accepted import MAX_LINES, lines, tally
from initadvisor.report.escape import visible
from tests.report.samples import HOSTILE, accepting, apart, finding, report

MIXED = accepting(
    *(apart(finding(name=f"layer{i}")) for i in range(20)),
    apart(finding("IA102", HOSTILE), "module", HOSTILE, "a mark on head"),
    *(apart(finding(name=f"old{i}"), "baseline") for i in range(3)),
)


def test_one_line_a_suppression_and_the_baseline_counted() -> None:
    first, second = lines(MIXED)
    assert first.startswith("IA101 on layer0, layer1, ")
    assert first.endswith("layer7 and 12 more is suppressed: meant (x.toml)")
    assert second == f"IA102 on {visible(HOSTILE)} is suppressed: {visible(HOSTILE)} (a mark on head)"
    assert tally(MIXED) == "21 suppressed, 3 in the baseline"
    assert (lines(report()), tally(report())) == ([], "")


def test_endless_suppressions_are_cut_and_counted() -> None:
    many = accepting(*(apart(finding(name=f"n{i}"), reason=f"reason {i:04}") for i in range(500)))
    found = lines(many)
    assert len(found) == MAX_LINES + 1
    assert found[-1] == "and 460 more suppressions (json output lists all)"


@pytest.mark.parametrize("name", ["full", "markdown", "html", "json", "jsonl", "junit", "sarif"])
def test_the_reason_is_in_every_report_that_lists(name: str) -> None:
    made = accepting(apart(finding(), reason="starts at the prior"))
    assert "starts at the prior" in render([made], name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["full", "concise", "markdown", "github"])
def test_the_count_is_in_every_report_with_a_verdict(name: str) -> None:
    assert "21 suppressed, 3 in the baseline" in render([MIXED], name)  # type: ignore[arg-type]
