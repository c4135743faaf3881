"""The plan as text: what is drawn, what is left, names that would steer a terminal."""

from __future__ import annotations

import pytest

from initadvisor.initializers import InitSpec
from initadvisor.plan import Plan, PlanStep
from initadvisor.report.escape import width
from initadvisor.report.plan_text import Change, changes_as_text, plan_as_text, table
from tests.report.samples import HOSTILE


def step(name: str, method: str | None = "zeros", **more: object) -> PlanStep:
    spec = None if method is None else InitSpec(method)
    return PlanStep(name, (8, 4), "float32", spec, "for a reason", **more)  # type: ignore[arg-type]


def test_parameters_that_are_drawn_alike_stand_together() -> None:
    plan = Plan("m.onnx", (step("a", std_before=0.5, rules=("IA101",)), step("b", "ones"), step("c")))
    lines = plan_as_text(plan).splitlines()
    assert lines[0] == "m.onnx: 3 of 3 parameters drawn anew, seed 0"
    assert [line.split()[0] for line in lines if line.startswith("    ")] == ["a", "c", "b"]
    assert "    a  8x4  std 0.5 -> 0  IA101" in lines
    assert "    c  8x4  std ? -> 0" in lines


def test_notes_come_first() -> None:
    plan = Plan("m", (step("a"),), notes=("the forward pass raised ValueError",))
    assert plan_as_text(plan).splitlines()[1] == "the forward pass raised ValueError"


def test_what_is_left_and_what_is_lost_is_said() -> None:
    kept = tuple(step(f"k{n}", None) for n in range(9))
    plan = Plan("m.onnx", (*kept, step("t", safe=False), step("s", learning_rate={"adam": 0.25, "sgd": 1.0})))
    text = plan_as_text(plan)
    assert "for a reason: k0, k1, k2, k3, k4, k5 and 3 more" in text
    assert "trained: what it has learned is lost" in text
    assert text.endswith("learning rates to set in the optimizer\n  adam x0.25: s\n")


@pytest.mark.parametrize("columns", [20, 60, 110])
def test_hostile_names_are_shown_and_fit(columns: int) -> None:
    plan = Plan(HOSTILE, (step(HOSTILE), step(HOSTILE * 30, None)))
    for text in (
        plan_as_text(plan, columns=columns),
        changes_as_text(plan, [Change(plan.steps[0], None, None, 0.0, 1.0)], columns=columns),
    ):
        assert all(line.isprintable() for line in text.split("\n"))
        assert all(width(line) <= columns for line in text.split("\n"))


def test_columns_stay_in_line_beside_a_long_name() -> None:
    rows = [("a", "mean 0 -> 1", "zeros"), ("blocks.0.attention.output", "mean 0.1 -> 0", "normal"), ("bc", "", "ones")]
    assert table(rows, 34) == [
        "    a   mean 0 -> 1    zeros",
        "    blocks.0.attention.output",
        "        mean 0.1 -> 0  normal",
        "    bc                 ones",
    ]
    assert table(rows, 60)[1] == "    blocks.0.attention.output  mean 0.1 -> 0  normal"
