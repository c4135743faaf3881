"""Text reports: what is wrong, where, why, what to do, and always the coverage."""

from __future__ import annotations

import pytest

from initadvisor.report import CoverageRow, Report, render
from initadvisor.report.escape import width
from initadvisor.report.text import percent
from initadvisor.rules import Fix
from tests.report.samples import HOSTILE, finding, report, skipped, unreadable

MIXED = report(
    finding("IA300", "act", "info"),
    finding("IA101", "b"),
    finding("IA200", "w", "warning"),
    finding("IA101", "a"),
    not_evaluated=(skipped("IA105", "x", "layer.gain is not known"), skipped("IA105", "y", "layer.gain is not known")),
)


def test_concise_is_one_line_a_finding_worst_first() -> None:
    assert render([MIXED], "concise").splitlines() == [
        "model.onnx:b: IA101 error std 0.01 is small",
        "model.onnx:a: IA101 error std 0.01 is small",
        "model.onnx:w: IA200 warning std 0.01 is small",
        "model.onnx:act: IA300 info std 0.01 is small",
        "model.onnx: 2 errors, 1 warning, 1 info; coverage 100% of parameters, 99.9% of operators, "
        "2 checks not evaluated",
    ]


def test_full_groups_by_rule_and_says_why_and_what_to_do() -> None:
    text = render([MIXED], "full", why={"IA101": "The signal dies."})
    order = [text.index(word) for word in ("error IA101", "\n  b, a\n", "warning IA200", "info IA300", "2 errors")]
    assert order == sorted(order)
    assert text.count("gain-too-small") == 3
    assert text.count("Why: The signal dies.") == 1
    assert "Fix: draw it with the initializer that its place calls for" in text
    assert "Coverage 100% of parameters, 99.9% of operators" in text
    assert "IA105 was not evaluated on 2 subjects: layer.gain is not known" in text


def test_a_fix_with_a_method_is_spelled_out() -> None:
    fix = Fix(method="normal", params={"std": 0.123456, "mode": "fan_in", "blocks": []}, safety="manual")
    text = render([report(finding().model_copy(update={"fix": fix}))], "full")
    assert "Fix: draw it from normal (std 0.1235, mode fan_in)" in text


def test_full_lists_a_few_subjects_and_counts_the_rest() -> None:
    text = render([report(*(finding(name=f"layer{n}", message=f"std {n}") for n in range(50)))], "full")
    assert "layer7" in text
    assert "layer8\n" not in text
    assert "and 42 more" in text


@pytest.mark.parametrize(
    "made", [report(), MIXED, unreadable(), report(finding(name=HOSTILE, message=f"bad {HOSTILE}"))]
)
@pytest.mark.parametrize("output", ["full", "concise"])
def test_the_coverage_is_always_there(made: Report, output: str) -> None:
    assert "coverage" in render([made], output).casefold()  # type: ignore[arg-type]


@pytest.mark.parametrize("columns", [20, 30, 60, 110])
@pytest.mark.parametrize("color", [True, False])
def test_full_fits_the_screen(columns: int, color: bool) -> None:
    made = report(
        finding(name="backbone.layer." + "x" * 90), finding("IA002", "重み" * 30, "warning", "層の分散が小さい " * 9)
    )
    text = render([made], "full", columns=columns, color=color, why={"IA101": "It is so. " * 20})
    for line in text.splitlines():
        plain = line
        for code in ("\x1b[1;31m", "\x1b[1;33m", "\x1b[1m", "\x1b[2m", "\x1b[0m"):
            plain = plain.replace(code, "")
        assert width(plain) <= columns, plain
    assert ("\x1b" in text) is color


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


def test_notes_on_the_coverage_are_shown() -> None:
    noted = report(coverage=CoverageRow(parameters=0.5, operators=1.0, capture="onnx", notes=("2 opaque operators",)))
    assert "2 opaque operators" in render([noted], "full")


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100%"), (0.99999, "99.9%"), (0.5, "50%"), (0.1234, "12.3%"), (0.0, "0%"), (0.29, "29%")]
)
def test_only_everything_reads_as_all(share: float, text: str) -> None:
    assert percent(share) == text
