"""Text reports: what is wrong, where, why, what to do, and always the coverage."""

from __future__ import annotations

import pytest

from initadvisor.report import CoverageRow, Report, render
from initadvisor.report.text import coverage_of, percent
from tests.report.samples import HOSTILE, MIXED, finding, report, unreadable


def test_concise_is_one_line_a_finding_worst_first() -> None:
    assert render([MIXED], "concise").splitlines() == [
        "model.onnx:b: IA101 error std 0.01 is small",
        "model.onnx:a: IA101 error std 0.01 is small",
        "model.onnx:w: IA200 warning std 0.01 is small",
        "model.onnx:act: IA300 info std 0.01 is small",
        "model.onnx: 2 errors, 1 warning, 1 info; coverage 100% of parameters, 99.9% of operators, "
        "2 checks not evaluated",
    ]


@pytest.mark.parametrize(
    "made", [report(), MIXED, unreadable(), report(finding(name=HOSTILE, message=f"bad {HOSTILE}"))]
)
@pytest.mark.parametrize("output", ["full", "concise"])
def test_the_coverage_is_always_there(made: Report, output: str) -> None:
    assert "coverage" in render([made], output).casefold()  # type: ignore[arg-type]


@pytest.mark.parametrize("output", ["full", "concise"])
def test_hostile_names_are_text(output: str) -> None:
    made = report(finding(name=HOSTILE, message=f"about {HOSTILE}"), target=HOSTILE)
    text = render([made], output, columns=110)  # type: ignore[arg-type]
    assert not any(c in text for c in "\x1b\r\x00\u202e\u200b")
    assert not any(line.lstrip().startswith("::error") for line in text.splitlines())
    assert "[bold]x[/bold]" in text
    if output == "concise":
        assert len(text.splitlines()) == 2


def test_a_report_without_findings_says_so() -> None:
    assert render([report()], "concise") == "model.onnx: no findings; coverage 100% of parameters, 99.9% of operators\n"
    assert "not checked: broken.onnx is truncated" in render([unreadable()], "concise")


@pytest.mark.parametrize("capture", ["module tree", "state dict"])
def test_no_share_of_operators_is_claimed_where_there_is_no_graph(capture: str) -> None:
    made = report(coverage=CoverageRow(parameters=1.0, operators=1.0, capture=capture))
    assert coverage_of(made) == "coverage 100% of parameters, no operators"


def test_notes_on_the_coverage_are_shown() -> None:
    noted = report(coverage=CoverageRow(parameters=0.5, operators=1.0, capture="onnx", notes=("2 opaque operators",)))
    assert "2 opaque operators" in render([noted], "full")


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100%"), (0.99999, "99.9%"), (0.5, "50%"), (0.1234, "12.3%"), (0.0, "0%"), (0.29, "29%")]
)
def test_only_everything_reads_as_all(share: float, text: str) -> None:
    assert percent(share) == text
