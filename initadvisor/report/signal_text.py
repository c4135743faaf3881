"""The predicted signal for people: two curves over depth, and the way to one layer."""

from __future__ import annotations

from collections.abc import Sequence

from initadvisor.report.curve import curve
from initadvisor.report.escape import MAX_NAME, visible, width
from initadvisor.report.model import Explanation, PathStep, Report, SignalRow
from initadvisor.report.phrases import Say, english
from initadvisor.report.terminal import fill, paint

MAX_STEPS = 28
"""Operators listed on one way; of a longer one the middle is summed up. json lists all."""

FIRST_STEPS = 6
"""Of these, how many at the far end."""

SAME = 1e-6
"""An operator that changes a second moment by a smaller share is left out: it only moves elements."""


def curves(report: Report, columns: int, color: bool, blocks: bool, say: Say = english) -> list[str]:
    """Root mean square of output and gradient over the layers, in the order of the forward pass."""
    shown = [row for row in _weighted(report) if row.output_rms is not None]
    if len(shown) < 2:
        return []
    lines = []
    title = say(
        "Predicted signal over {count} layers, {first} to {last} (rms, log scale):",
        count=len(shown),
        first=_name(shown[0]),
        last=_name(shown[-1]),
    )
    lines += fill(title, columns)
    back = [row for row in shown if row.gradient_rms is not None]
    for label, values in (
        ("forward", [row.output_rms or 0.0 for row in shown]),
        ("gradient", [row.gradient_rms or 0.0 for row in back]),
    ):
        if len(values) < 2:
            continue
        ends = say("{low} to {high}", low=f"{values[0]:.2g}", high=f"{values[-1]:.2g}")
        bare = f"  {_padded(say(label), 8)}  "
        room = columns - width(bare) - width(ends) - 2
        if room < 4:
            lines += fill(f"{say(label)} {ends}", columns, first="  ", rest="    ")
            continue
        lines.append(f"{bare}{paint(curve(values, room, blocks=blocks), 'info', color)}  {ends}")
    return lines


def _weighted(report: Report) -> list[SignalRow]:
    """The rows of layers with a weight matrix."""
    matrices = {row.name for row in report.layers if row.shape is not None and len(row.shape) > 1}
    return [row for row in report.signal if row.layer in matrices]


def explanation(found: Explanation, columns: int, color: bool, say: Say = english) -> list[str]:
    """The way of the signal to a layer and of the gradient back to it, one operator a line."""
    name = visible(found.layer, MAX_NAME)
    forth = say("Signal on its way to {layer} (second moments):", layer=name)
    back = say("Gradient on its way back to {layer} (second moments):", layer=name)
    lines = ["", *_way(forth, found.forward, columns, color, say)]
    lines += ["", *_way(back, found.backward, columns, color, say)]
    if found.assumed:
        heads = ", ".join(visible(head, MAX_NAME) for head in found.assumed)
        lines += fill(say("{heads} holds zeros; counted as drawn with gain 1.", heads=heads), columns)
    return lines


def _way(title: str, steps: Sequence[PathStep], columns: int, color: bool, say: Say) -> list[str]:
    lines = [paint(line, "strong", color) for line in fill(title, columns)]
    telling = [step for step in steps if not _silent(step)] or list(steps)
    if not telling:
        return [*lines, f"  {say('no operator lies there')}"]
    rows: list[tuple[str, ...]] = [tuple(say(head) for head in ("operator", "q in", "q out", "factor", "where"))]
    if len(telling) <= MAX_STEPS:
        rows += [_row(step, say) for step in telling]
    else:
        left = len(telling) - MAX_STEPS
        middle = telling[FIRST_STEPS : FIRST_STEPS + left]
        rows += [_row(step, say) for step in telling[:FIRST_STEPS]]
        rows.append(_summed(middle, say))
        rows += [_row(step, say) for step in telling[FIRST_STEPS + left :]]
    return lines + _table(rows, columns)


def _silent(step: PathStep) -> bool:
    return not step.joins and step.factor is not None and abs(step.factor - 1.0) < SAME


def _row(step: PathStep, say: Say) -> tuple[str, ...]:
    where = visible(step.where, MAX_NAME)
    joined = say(", ").join(f"{visible(name, MAX_NAME) or say('the model')} {_q(q)}" for name, q in step.joins)
    where = say("{where} (joined by {names})", where=where, names=joined) if joined else where
    return visible(step.operator, MAX_NAME), _q(step.q_in), _q(step.q_out), _factor(step.factor), where


def _summed(steps: Sequence[PathStep], say: Say) -> tuple[str, ...]:
    first, last = steps[0].q_in, steps[-1].q_out
    factor = last / first if first and last is not None else None
    return say("... {count} more", count=len(steps)), _q(first), _q(last), _factor(factor), ""


def _table(rows: Sequence[tuple[str, ...]], columns: int) -> list[str]:
    sizes = [max(width(row[i]) for row in rows) for i in range(4)]
    sizes[0] = min(sizes[0], max(columns // 4, 8))
    lines = []
    for row in rows:
        cells = [_padded(row[0], sizes[0])]
        cells += [" " * (size - width(cell)) + cell for cell, size in zip(row[1:4], sizes[1:], strict=True)]
        lines += fill_cells("  " + "  ".join(cells), row[4], columns)
    return lines


def _padded(text: str, columns: int) -> str:
    """Text with spaces behind it up to a width in columns, of which East Asian characters take two."""
    return text + " " * max(0, columns - width(text))


def fill_cells(cells: str, last: str, columns: int) -> list[str]:
    """A row of aligned cells and a text at its end, which goes on in the next line where there is no room."""
    line = f"{cells}  {last}".rstrip()
    if width(line) <= columns:
        return [line]
    rest = fill(last, columns, first="      ", rest="      ") if last else []
    return [*([cells] if width(cells) <= columns else fill(cells, columns, first="  ", rest="    ")), *rest]


def _q(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"


def _factor(value: float | None) -> str:
    return "?" if value is None else f"x{value:.3g}"


def _name(row: SignalRow) -> str:
    return visible(row.layer, MAX_NAME)
