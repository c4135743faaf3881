"""The report on a terminal: what, where, why, what to do, one command; folded, and inside the width of the screen."""

from __future__ import annotations

import re

import pytest

from initadvisor.report import CoverageRow, render
from initadvisor.report.escape import width
from initadvisor.rules import Finding, Fix, SubjectName
from tests.report.samples import MIXED, finding, report, skipped


def _with_fix(made: Finding, **fields: object) -> Finding:
    return made.model_copy(update={"fix": Fix(safety="manual").model_copy(update=fields)})


def test_findings_are_grouped_by_rule_and_say_why_and_what_to_do() -> None:
    text = render([MIXED], "full", why={"IA101": "The signal dies."})
    order = [text.index(word) for word in ("error IA101", "\n  b, a\n", "warning IA200", "info IA300", "2 errors")]
    assert order == sorted(order)
    assert "error IA101 gain-too-small (2 layers)\n" in text
    assert text.count("std 0.01 is small") == 3
    assert text.count("Why: The signal dies.") == 1
    assert "Fix: draw it with the initializer that its place calls for" in text
    assert "Coverage 100% of parameters, 99.9% of operators" in text
    assert "IA105 was not evaluated on 2 subjects: layer.gain is not known" in text
    assert 'More about a rule: "initadvisor rule IA101".' in text


def test_layers_with_one_cause_are_one_entry_with_a_count_and_ranges() -> None:
    deep = report(*(finding(name=f"body.{n}.fc", message=f"std 0.{n + 10} is small") for n in range(50)))
    text = render([deep], "full")
    assert "error IA101 gain-too-small (50 layers)\n  body.{0..49}.fc\n    std 0.10 to 0.59 is small\n" in text
    assert text.count("is small") == 1


def test_layers_called_by_numbers_are_called_layers() -> None:
    text = render([report(*(finding(name=str(n)) for n in range(1, 61, 2)))], "full")
    assert "\n  layers 1, 3, .. 59\n" in text
    assert "\n  layer 7\n" in render([report(finding(name="7"))], "full")


def test_many_different_messages_are_counted() -> None:
    made = report(*(finding(name=f"l{chr(97 + n)}", message=f"because of {chr(97 + n)}") for n in range(9)))
    text = render([made], "full")
    assert "because of d" in text
    assert "because of e" not in text
    assert "and 5 more (concise and json output list all)" in text


def test_a_finding_about_the_model_names_no_place() -> None:
    made = finding().model_copy(update={"subject": SubjectName(kind="model")})
    assert "error IA101 gain-too-small\n    std 0.01 is small\n" in render([report(made)], "full")


def test_the_one_command_is_said_once_at_the_end() -> None:
    command = "initadvisor fix model.onnx --only-flagged " + "--param IA101.low=0.4 " * 5
    made = report(*(_with_fix(finding(rule, "a"), command=command) for rule in ("IA101", "IA102", "IA103")))
    text = render([made], "full", columns=40)
    assert text.count(command) == 1  # in one piece however narrow: it is there to be copied
    assert text.index("3 errors.") < text.index(command)


def test_different_commands_stay_with_their_findings() -> None:
    made = report(*(_with_fix(finding(rule, "a"), command=f"fix --select {rule}") for rule in ("IA101", "IA102")))
    text = render([made], "full")
    assert "  Run: fix --select IA101\n" in text
    assert "  Run: fix --select IA102\n" in text


def test_a_fix_with_a_method_is_spelled_out() -> None:
    params = {"std": 0.123456, "mode": "fan_in", "corrected": True, "blocks": []}
    text = render([report(_with_fix(finding(), method="normal", params=params))], "full")
    assert "Fix: draw it from normal (std 0.1235, mode fan_in, corrected)" in text


def test_fixes_that_differ_in_a_number_are_one_line() -> None:
    made = [_with_fix(finding(name=f"l.{n}"), method="normal", params={"std": 0.1 * n}) for n in (1, 2, 3)]
    assert "Fix: draw it from normal (std 0.1 to 0.3)" in render([report(*made)], "full")


def test_fixes_that_differ_say_what_each_is_for() -> None:
    blocks = [{"name": name, "start": 0, "stop": 1, "spec": {"method": "lecun_normal"}} for name in "qkv"]
    padding = [
        {"name": "padding", "start": 0, "stop": 1, "spec": {"method": "zeros"}},
        {"name": "after", "start": 1, "stop": 9, "spec": {"method": "normal", "params": {"std": 1.0}}},
    ]
    made = [
        _with_fix(finding(name="attn.qkv"), method="blocks", params={"axis": 0, "blocks": blocks}),
        _with_fix(finding(name="mlp.0"), method="kaiming_normal", params={}),
        _with_fix(finding(name="mlp.2"), method="kaiming_normal", params={}),
        _with_fix(finding(name="tokens"), method="blocks", params={"axis": 0, "blocks": padding}),
        _with_fix(finding(name="head"), method="zeros", params={}),
    ]
    lines = render([report(*made)], "full").splitlines()
    assert [line.strip() for line in lines if line.strip().startswith("Fix:")] == [
        "Fix: for attn.qkv: draw q, k, v from lecun_normal, each block by itself",
        "Fix: for mlp.0, mlp.2: draw it from kaiming_normal",
        "Fix: for tokens: draw padding from zeros, after from normal, each block by itself",
        "Fix: and others, layer by layer: initadvisor advise",
    ]


PALETTE = re.compile(r"\x1b\[(?:0|2|1|1;3[1-4])m")


@pytest.mark.parametrize("columns", [20, 30, 40, 60, 80, 110])
@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_line_fits_the_screen(columns: int, color: bool, language: str) -> None:
    made = report(
        finding(name="backbone.layer." + "x" * 90),
        finding("IA002", "重み" * 30, "warning", "層の分散が小さい " * 9),
        finding("IA003", "a", "info", "分散が、「小さい」ため、勾配が消失します。" * 9),
        not_evaluated=(skipped("IA105", "x", "layer.gain is not known"),),
        coverage=CoverageRow(parameters=0.5, operators=1.0, capture="onnx", notes=("2 opaque operators " * 9,)),
    )
    text = render([made], "full", columns=columns, color=color, why={"IA101": "It is so. " * 20}, language=language)  # type: ignore[arg-type]
    for line in text.splitlines():
        assert width(PALETTE.sub("", line)) <= columns, line
    assert ("\x1b" in text) is color


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_words_stay_whole(columns: int) -> None:
    words = ["over", "the", "30", "layers", "from", "here,", "differences", "between", "inputs", "shrink"]
    text = render([report(finding(message=" ".join(words)))], "full", columns=columns)
    assert set(words) <= set(text.split())
