"""The table of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from initadvisor.report.escape import MAX_NAME, visible
from initadvisor.report.html.marks import Mark, Marks
from initadvisor.report.html.probed import number, probed
from initadvisor.report.model import LayerRow, Report, SignalRow
from initadvisor.report.svg import short

MAX_ROWS = 1500
"""Layers that are listed; those with findings come before others where there are more."""

Cell = tuple[str, str | None]
"""What is shown, and what is sorted by where that is a number."""


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; numbers are aligned right."""

    title: str
    numeric: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A layer."""

    name: str
    cells: list[Cell]
    marks: tuple[Mark, ...]
    rank: int


@dataclass(frozen=True, slots=True)
class LayerTable:
    """`left_out` counts the layers that have no row."""

    columns: list[Column]
    rows: list[Row]
    left_out: int


def table_of(report: Report, marks: Marks, share: int = 1) -> LayerTable:
    """Columns that hold nothing in any row are left out."""
    limit = MAX_ROWS // share
    chosen = _chosen(report, marks, limit)
    signal = {row.layer: row for row in report.signal}
    measured = probed(report)
    made = [(column, [cell(row, signal.get(row.name), measured) for row in chosen]) for column, cell in _COLUMNS]
    kept = [(column, cells) for column, cells in made if any(text for text, _ in cells)]
    rows = [
        Row(
            visible(row.name, MAX_NAME),
            [cells[place] for _, cells in kept],
            marks.at(row.name),
            _rank(marks.at(row.name)),
        )
        for place, row in enumerate(chosen)
    ]
    return LayerTable([column for column, _ in kept], rows, len(report.layers) - len(rows))


def _chosen(report: Report, marks: Marks, limit: int) -> list[LayerRow]:
    if len(report.layers) <= limit:
        return list(report.layers)
    flagged = [place for place, row in enumerate(report.layers) if marks.at(row.name)][:limit]
    kept = set(flagged)
    for place in range(len(report.layers)):
        if len(kept) >= limit:
            break
        kept.add(place)
    return [report.layers[place] for place in sorted(kept)]


def _rank(marks: tuple[Mark, ...]) -> int:
    """What the column of findings is sorted by: errors outweigh warnings outweigh remarks."""
    weights = {"error": 10_000, "warning": 100, "info": 1}
    return sum(weights[mark.severity] for mark in marks)


_Make = Callable[[LayerRow, SignalRow | None, Mapping[str, Mapping[str, Any]]], Cell]


def _figure(value: float | None) -> Cell:
    return ("", None) if value is None else (short(value), f"{value:.9g}")


def _signal(field: str) -> _Make:
    return lambda row, signal, _: _figure(getattr(signal, field) if signal is not None else None)


def _layer(field: str) -> _Make:
    return lambda row, *_: _figure(getattr(row, field))


def _measured(field: str, of: str = "layer") -> _Make:
    def make(row: LayerRow, _: SignalRow | None, measured: Mapping[str, Mapping[str, Any]]) -> Cell:
        key = row.name if of == "layer" else row.weight
        return _figure(number(measured.get(f"{of}:{key}", {}).get(field)))

    return make


def _shape(row: LayerRow, *_: Any) -> Cell:
    if row.shape is None:
        return "", None
    size = 1
    for length in row.shape:
        size *= length
    return " × ".join(map(str, row.shape)) or "scalar", str(size)


def _text(value: Callable[[LayerRow], str | None]) -> _Make:
    return lambda row, *_: (visible(value(row) or "", MAX_NAME), None)


_COLUMNS: tuple[tuple[Column, _Make], ...] = (
    (Column("operator"), _text(lambda row: row.op)),
    (Column("shape", True, "as stored"), _shape),
    (Column("fan in", True), _layer("fan_in")),
    (Column("fan out", True), _layer("fan_out")),
    (Column("activation"), _text(lambda row: row.activation)),
    (Column("drawn from"), _text(lambda row: row.drawn_from.method if row.drawn_from else None)),
    (Column("recommended"), _text(lambda row: row.recommended.method if row.recommended else None)),
    (Column("output", True, "predicted root mean square, for standard normal inputs"), _signal("output_rms")),
    (Column("gradient", True, "predicted root mean square, for output gradients of 1"), _signal("gradient_rms")),
    (Column("measured output", True, "root mean square at the first step"), _measured("rms")),
    (Column("measured gradient", True, "root mean square at the first step"), _measured("gradient_rms")),
    (Column("update / weight", True, "of the last step, norms"), _measured("update_to_weight", "tensor")),
)
