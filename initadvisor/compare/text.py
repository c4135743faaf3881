"""A comparison on a terminal: a table with learning curves, and signal and gradient by layer as rows of blocks."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from initadvisor.compare.conclusion import goal, score
from initadvisor.compare.model import Comparison, InitResult, LayerRecord
from initadvisor.report.curve import BLOCKS, DIGITS, curve
from initadvisor.report.escape import visible
from initadvisor.report.terminal import fill, paint

if TYPE_CHECKING:
    from rich.table import Table

SLIM, LEAST_FOR_CURVES, NARROW, WIDE = 32, 50, 64, 84
"""Columns from which the table shows the steps to the target, curves, the training loss, the learning rate."""

LEAST_FOR_ENDS = 46
"""Columns from which a row over the layers ends with its first and last value in figures."""

LONGEST_NAME = 32
SHOWN_LAYERS = 3
"""Layers whose histograms are shown: the first, the middle one, the last before the output."""


def as_text(comparison: Comparison, *, columns: int = 100, color: bool = False, blocks: bool = True) -> str:
    """The whole comparison in at most `columns` columns; `blocks`: the output can show block characters."""
    plain = not blocks
    lines = [*_heading(comparison, columns, color), "", *_table(comparison, columns, color, blocks), ""]
    shown = [result for result in comparison.inits if result.shown is not None and result.shown.start]
    if any(result.shown and len(result.shown.start) > 1 for result in shown):
        lines += _by_layer("Signal at the start, first layer to last: RMS of activations", shown, _rms, columns, blocks)
        lines += _by_layer("Gradient at the start, first layer to last: RMS", shown, _gradient, columns, blocks)
        lines += _histograms(shown, columns, blocks)
    for result in comparison.inits:
        if result.status == "not_run":
            lines += fill(f"{_name(result)} was not run: {visible(result.reason)}", columns)
    for note in comparison.notes:
        lines += fill(f"note: {visible(note)}", columns)
    said = visible(comparison.conclusion)
    said = said.replace("R²", "R2") if plain else said
    if comparison.interrupted:
        lines += [paint("Interrupted: this is what was done so far.", "warning", color)]
    lines += [paint(line, "strong", color) for line in fill(said, columns)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _heading(comparison: Comparison, columns: int, color: bool) -> list[str]:
    data, setup = comparison.data, comparison.setup
    first = f"{visible(comparison.target, 60)} on {visible(data.name, 60)}"
    rates = ", ".join(f"{rate:g}" for rate in setup.learning_rates)
    seeds = f", {len(setup.seeds)} seeds" if len(setup.seeds) > 1 else ""
    schedule = "" if setup.schedule == "constant" else f", {setup.schedule}"
    detail = (
        f"{setup.parameters:,} parameters in {setup.layers} layers; {data.samples} samples to train on, "
        f"{data.held_out} held out; {setup.optimizer}, learning rate {rates}{schedule}; "
        f"{setup.steps} steps of {setup.batch_size}{seeds}; {setup.device}"
    )
    notes = "; ".join(visible(note) for note in data.notes)
    return [
        *(paint(line, "strong", color) for line in fill(first, columns)),
        *(paint(line, "dim", color) for line in fill(detail, columns)),
        *(paint(line, "dim", color) for line in (fill(notes, columns) if notes else [])),
    ]


def _table(comparison: Comparison, columns: int, color: bool, blocks: bool) -> list[str]:
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=columns,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(_filled(comparison, columns, blocks))
    return out.getvalue().rstrip("\n").split("\n")


def _filled(comparison: Comparison, columns: int, blocks: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    data, setup = comparison.data, comparison.setup
    named = "accuracy" if data.task == "classification" else "R²" if blocks else "R2"
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("init", no_wrap=True)
    table.add_column(named, justify="right", no_wrap=True)
    if columns >= SLIM:
        table.add_column(f"{goal(setup, data, plain=not blocks)} after", justify="right", no_wrap=True)
    if columns >= NARROW:
        table.add_column("train loss", justify="right", no_wrap=True)
    if columns >= WIDE:
        table.add_column("rate", justify="right", no_wrap=True)
    label = _label(comparison.inits, columns)
    # What is left is for the curve: the other columns have known widths.
    room = max(6, min(40, columns - label - (50 if columns >= WIDE else 43 if columns >= NARROW else 32)))
    if columns >= LEAST_FOR_CURVES:
        table.add_column(f"{named} over steps", no_wrap=True)
    for number, result in enumerate(comparison.inits):
        style = "bold green" if number == 0 and result.status == "trained" else ""
        cells = [Text(_name(result, label), style=style), Text(_score(result, comparison, blocks))]
        if columns >= SLIM:
            cells.append(Text(_reached(result)))
        if columns >= NARROW:
            cells.append(Text("-" if result.train_loss is None else f"{result.train_loss:.3g}"))
        if columns >= WIDE:
            cells.append(Text("-" if result.learning_rate is None else f"{result.learning_rate:g}"))
        if columns >= LEAST_FOR_CURVES:
            cells.append(Text(_learning(result, room, blocks)))
        table.add_row(*cells)
    return table


def _score(result: InitResult, comparison: Comparison, blocks: bool) -> str:
    if result.status in ("diverged", "not_run"):
        return result.status.replace("_", " ")
    if result.score is None:
        return "-"
    value = score(result.score, comparison.data).removeprefix("R² ")
    if result.score_std is None:
        return value
    sign = "±" if blocks else "+-"
    if comparison.data.task == "classification":
        return f"{value} {sign} {100 * result.score_std:.1f}"
    return f"{value} {sign} {result.score_std:.3f}"


def _reached(result: InitResult) -> str:
    if result.status == "not_run":
        return "-"
    share = f" ({result.reached}/{len(result.best)})" if len(result.best) > 1 else ""
    return ("never" if result.steps_to_target is None else f"{result.steps_to_target:g}") + share


def _learning(result: InitResult, room: int, blocks: bool) -> str:
    run = result.shown
    return "" if run is None else linear(run.curve.score, room, blocks=blocks)


def linear(values: Sequence[float | None], width: int, low: float = 0.0, high: float = 1.0, blocks: bool = True) -> str:
    """One character a value between two bounds, or a value of each bucket; "x" stands for what is not finite."""
    marks = BLOCKS if blocks else DIGITS
    count = min(len(values), width)
    picked = [values[(i + 1) * len(values) // count - 1] for i in range(count)]
    top = len(marks) - 1
    return "".join(
        "x" if v is None else marks[round(top * min(1.0, max(0.0, (v - low) / (high - low))))] for v in picked
    )


def _by_layer(
    title: str,
    shown: Sequence[InitResult],
    figure: Callable[[LayerRecord], float | None],
    columns: int,
    blocks: bool,
) -> list[str]:
    """A row an init on one scale: the marks of all are made at once."""
    label = _label(shown, columns)
    with_ends = columns >= LEAST_FOR_ENDS
    room = max(4, min(60, columns - label - (26 if with_ends else 3)))
    rows = [_picked([figure(layer) or 0.0 for layer in result.shown.start], room) for result in shown if result.shown]
    marks = curve([value for row in rows for value in row], sum(map(len, rows)), blocks=blocks)
    lines, at = fill(title, columns), 0
    for result, row in zip(shown, rows, strict=True):
        ends = f"{row[0]:.2g} to {row[-1]:.2g}" if row and with_ends else ""
        lines.append(f"  {_name(result, label):<{label}} {marks[at : at + len(row)]}  {ends}")
        at += len(row)
    return [*lines, ""]


def _picked(values: Sequence[float], room: int) -> list[float]:
    if len(values) <= room:
        return list(values)
    return [values[i * (len(values) - 1) // (room - 1)] for i in range(room)]


def _histograms(shown: Sequence[InitResult], columns: int, blocks: bool) -> list[str]:
    """Histograms of a few layers, one after another on a line."""
    label = _label(shown, columns)
    layers = [layer for layer in shown[0].shown.start if layer.function != "linear"] if shown[0].shown else []
    names = list(dict.fromkeys(layer.name for layer in (*layers[:1], *layers[len(layers) // 2 :][:1], *layers[-1:])))
    room = (columns - label - 3) // max(1, len(names)) - 2
    if not names or room < 8:
        return []
    lines = fill("Histograms of activations at the start, layers " + ", ".join(visible(n, 40) for n in names), columns)
    for result in shown:
        by_name = {layer.name: layer for layer in result.shown.start} if result.shown else {}
        cells = [_histogram(by_name.get(name), min(room, 20), blocks) for name in names]
        lines.append(f"  {_name(result, label):<{label}} {'  '.join(cells)}")
    if any(layer.histogram and layer.histogram.zero for layer in layers):
        lines += fill("  The zeros of rectifiers are left out.", columns)
    return [*lines, ""]


def _histogram(layer: LayerRecord | None, room: int, blocks: bool) -> str:
    if layer is None or layer.histogram is None:
        return "x" * room
    shares = layer.histogram.shares
    # As many bins a mark for all of them: else the marks go up and down with the number.
    bins = next(n for n in range(1, len(shares) + 1) if len(shares) % n == 0 and len(shares) // n <= room)
    sums = [sum(shares[i : i + bins]) for i in range(0, len(shares), bins)]
    return linear(sums, len(sums), 0.0, max(*sums, 1e-12), blocks)


def _rms(layer: LayerRecord) -> float | None:
    return layer.rms


def _gradient(layer: LayerRecord) -> float | None:
    return layer.gradient_rms


def _label(shown: Sequence[InitResult], columns: int) -> int:
    longest = LONGEST_NAME if columns >= WIDE else 12 if columns >= SLIM else 8
    return min(max(len(_name(result)) for result in shown), longest)


def _name(result: InitResult, limit: int = 200) -> str:
    return visible(result.name, limit)
