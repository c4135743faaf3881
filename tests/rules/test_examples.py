"""Examples of rule files: what counts as kept and what as broken."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from initadvisor.rules import Example, Finding, NotEvaluated, Rule, SubjectName
from initadvisor.rules.examples import build, judge, run_example
from tests.rules.samples import rule

BAD = Example("bad", "", 30, "")
GOOD = Example("good", "fine", 40, "")


def found(rule_id: str, severity: str = "error") -> Finding:
    return Finding(
        rule=rule_id,
        name="n",
        severity=severity,  # type: ignore[arg-type]
        subject=SubjectName(kind="layer", name="fc"),
        message="m",
        evidence={},
        fingerprint="f",
    )


@pytest.mark.parametrize(
    ("example", "findings", "problem"),
    [
        (BAD, [found("T001")], ""),
        (BAD, [found("T001"), found("T002", "warning")], ""),
        (BAD, [found("T001"), found("T003")], ""),
        (BAD, [], "the rule found nothing"),
        (BAD, [found("T003")], "the rule found nothing"),
        (BAD, [found("T001"), found("T002")], "other errors: T002 on fc: m"),
        (GOOD, [], ""),
        (GOOD, [found("T002", "warning")], ""),
        (GOOD, [found("T001", "info")], "the rule fired: T001 on fc: m"),
        (GOOD, [found("T002")], "other errors: T002 on fc: m"),
        (GOOD, [found("T003")], "other errors: T003 on fc: m"),
    ],
)
def test_what_an_example_promises(example: Example, findings: list[Finding], problem: str) -> None:
    assert judge(rule(also='["T003"]'), example, findings) == problem


def test_a_rule_that_was_not_evaluated_says_why() -> None:
    skipped = [NotEvaluated(rule="T001", subject=SubjectName(kind="model"), reason="layer.gain is not known")]
    assert judge(rule(), BAD, [], skipped) == "the rule found nothing; not evaluated: layer.gain is not known"


def example(code: str) -> tuple[Rule, Example]:
    return dataclasses.replace(rule(), path=Path("x.md")), Example("good", "", 7, code)


def nothing(_: Mapping[str, Any]) -> tuple[list[Finding], list[NotEvaluated]]:
    return [], []


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("model = 1", ""),
        ("x = 1", "the code sets no variable `model`"),
        ("raise ValueError('no')", "the code raised ValueError: no"),
        ("def f(:", "the code raised SyntaxError"),
    ],
)
def test_code_that_breaks_is_reported(code: str, problem: str) -> None:
    outcome = run_example(*example(code), nothing)
    assert outcome.problem.startswith(problem)
    assert bool(outcome.problem) is bool(problem)


def test_a_check_that_breaks_is_reported() -> None:
    def broken(_: Mapping[str, Any]) -> tuple[list[Finding], list[NotEvaluated]]:
        raise RuntimeError("boom")

    assert run_example(*example("model = 1"), broken).problem == "the check raised RuntimeError: boom"


def test_the_code_has_the_usual_names_and_a_fixed_seed() -> None:
    code = "model = nn.Linear(2, 2)\nother = np.random.rand()\nversion = onnx.__version__\nprint('quiet')"
    first, second = build(*example(code)), build(*example(code))
    assert first["torch"].equal(first["model"].weight, second["model"].weight)
    assert first["other"] == second["other"]


def test_lines_of_tracebacks_are_those_of_the_file() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        build(*example("x = 1\ny = 1 / 0"))
    assert caught.traceback[-1].lineno == 7  # counted from 0: the eighth line, the second of the block
