"""A plan for people: what is drawn from what and why, and what is left as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initadvisor.report.escape import MAX_NAME, visible, width
from initadvisor.report.terminal import fill, paint

if TYPE_CHECKING:
    from initadvisor.plan import Plan, PlanStep

MAX_NAMES = 6
"""Parameters named in one line about what is left alone; json lists all."""


def plan_as_text(plan: Plan, *, columns: int = 100, color: bool = False) -> str:
    """Parameters grouped by method and reason, in the order of the model, with their spread before and after."""
    lines = [paint(line, "strong", color) for line in fill(heading(plan), columns)]
    lines += [line for note in plan.notes for line in fill(visible(note), columns, rest="  ")]
    for (method, reason), steps in _alike(plan.draws).items():
        lines += ["", *(paint(line, "good", color) for line in fill(visible(method), columns))]
        lines += [paint(line, "dim", color) for line in fill(visible(reason), columns, first="  ", rest="  ")]
        lines += table([_row(step) for step in steps], columns)
    lines += _kept(plan, columns, color)
    return "".join(
        f"{line}\n" for line in (*lines, *_rates(plan, columns), *_signal(plan, columns), *_others(plan, columns))
    )


def _signal(plan: Plan, columns: int) -> list[str]:
    """What the plan does to the predicted signal, in one sentence."""
    found = plan.signal
    if found is None:
        return []
    parts = [
        f"{label} {_times(before)} -> {_times(after)}"
        for label, before, after in (
            ("signal", found.before.forward, found.after.forward),
            ("gradient", found.before.gradient, found.after.gradient),
        )
    ]
    text = f"predicted spread over {found.places} places of the trunk, largest over smallest: {', '.join(parts)}"
    return ["", *fill(text, columns, rest="  ")]


def _others(plan: Plan, columns: int) -> list[str]:
    """What is predicted of the model as it is, as planned and changed, the least risk first."""
    if not plan.alternatives:
        return []
    said = "alternatives, each predicted on a graph that has it and with the weights advised for it: risk that"
    said += " training fails, depth in depth scales, signal at the head and gradient at the first layer"
    known = [each for each in plan.alternatives if each.outlook.risk is not None]
    ranked = sorted(known, key=lambda each: each.outlook.risk or 0.0)
    rows = [
        (
            visible(each.change),
            f"risk {each.outlook.risk:.0%}",
            f"depth {_short(each.outlook.depth_scales)}",
            f"signal {_times(each.outlook.forward)}",
            f"gradient {_times(each.outlook.gradient)}",
        )
        for each in ranked
    ]
    return ["", *fill(said, columns, rest="  "), *table(rows, columns)] if rows else []


def _short(value: float | None) -> str:
    return "?" if value is None else f"{value:.2g}"


def _times(value: float | None) -> str:
    return "?" if value is None else f"{value:.2g}x"


def heading(plan: Plan) -> str:
    """One line: the target, how many parameters are drawn anew, the seed."""
    return f"{visible(plan.target, MAX_NAME)}: {count_of(plan)}"


def count_of(plan: Plan) -> str:
    """`12 of 14 parameters drawn anew, seed 0`."""
    return f"{len(plan.draws)} of {len(plan)} parameters drawn anew, seed {plan.seed}"


def table(rows: Sequence[Sequence[str]], columns: int) -> list[str]:
    """Rows under each other, two columns apart and indented.

    A first cell that leaves no room for the others has a line of its own, with the others below it in their columns; a
    row that is too wide all the same goes on in the next line.
    """
    sizes = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    if sizes:
        room = columns - 4 - sum(size + 2 for size in sizes[1:])
        fitting = [width(row[0]) for row in rows if width(row[0]) <= room]
        sizes[0] = max(fitting, default=4)
    lines = []
    for row in rows:
        cells = [cell + " " * max(0, size - width(cell)) for cell, size in zip(row, sizes, strict=True)]
        if width(row[0]) > sizes[0]:
            lines += fill(row[0], columns, first="    ", rest="      ")
            cells[0] = " " * sizes[0]
        line = "    " + "  ".join(cells).rstrip()
        lines += [line] if width(line) <= columns else fill(line, columns, first="    ", rest="      ")
    return lines


def number(value: float | None) -> str:
    """Four digits, or "?" for what is not known."""
    return "?" if value is None else f"{value:.4g}"


def _alike(steps: Iterable[PlanStep]) -> dict[tuple[str, str], list[PlanStep]]:
    groups: dict[tuple[str, str], list[PlanStep]] = {}
    for step in steps:
        method = step.spec.describe() if step.spec is not None else "keep"
        groups.setdefault((method, step.reason), []).append(step)
    return groups


def _row(step: PlanStep) -> tuple[str, ...]:
    spread = f"std {number(step.std_before)} -> {number(step.std_after)}"
    lost = "trained: what it has learned is lost" if step.safe is False else ""
    return (visible(step.parameter, MAX_NAME), _shape(step), spread, ", ".join(filter(None, (*step.rules, lost))))


def _shape(step: PlanStep) -> str:
    return "x".join(map(str, step.shape)) or "scalar"


def _kept(plan: Plan, columns: int, color: bool) -> list[str]:
    groups = _alike(step for step in plan.steps if step.spec is None)
    lines = ["", paint("left as they are", "strong", color)] if groups else []
    for (_, reason), steps in groups.items():
        names = ", ".join(visible(step.parameter, MAX_NAME) for step in steps[:MAX_NAMES])
        more = f" and {len(steps) - MAX_NAMES} more" if len(steps) > MAX_NAMES else ""
        lines += fill(f"{visible(reason)}: {names}{more}", columns, first="  ", rest="    ")
    return lines


def _rates(plan: Plan, columns: int) -> list[str]:
    """Factors on learning rates, which no fix of weights can put into effect."""
    factors: dict[str, list[str]] = {}
    for step in plan.steps:
        text = ", ".join(f"{name} x{number(factor)}" for name, factor in step.learning_rate.items() if factor != 1.0)
        if text:
            factors.setdefault(text, []).append(visible(step.parameter, MAX_NAME))
    lines = ["", "learning rates to set in the optimizer"] if factors else []
    for text, names in factors.items():
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        lines += fill(f"{text}: {', '.join(names[:MAX_NAMES])}{more}", columns, first="  ", rest="    ")
    return lines


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter before and after a plan: mean and standard deviation of its elements, None where unknown."""

    step: PlanStep
    mean_before: float | None
    std_before: float | None
    mean_after: float
    std_after: float


def changes_as_text(plan: Plan, changes: Sequence[Change], *, columns: int = 100) -> str:
    """One line a parameter that changes: mean and standard deviation before and after."""
    rows = [
        (
            visible(change.step.parameter, MAX_NAME),
            f"mean {number(change.mean_before)} -> {number(change.mean_after)}",
            f"std {number(change.std_before)} -> {number(change.std_after)}",
            change.step.method,
        )
        for change in changes
    ]
    return "".join(f"{line}\n" for line in (*fill(heading(plan), columns), *table(rows, columns)))
