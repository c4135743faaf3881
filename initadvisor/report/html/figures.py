"""Curves over depth: the signal forward, the gradient back, what a step changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from initadvisor.report import svg
from initadvisor.report.html.probed import number, probed
from initadvisor.report.model import Report, SignalRow
from initadvisor.report.svg import Series

ORDER = "layer, in the order of the forward pass"


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot as markup, and what to see in it."""

    title: str
    plot: Markup
    caption: str


def figures_of(report: Report) -> list[Figure]:
    """The plots that the report has numbers for."""
    rows = weighted(report)
    measured = probed(report)
    made = (_forward(rows, measured), _backward(rows, measured), _updates(rows, report, measured), _losses(report))
    return [figure for figure in made if figure is not None]


def weighted(report: Report) -> list[SignalRow]:
    """The rows of layers with a weight matrix; those that a probe saw, where nothing was predicted."""
    matrices = {row.name: row for row in report.layers if row.shape is not None and len(row.shape) > 1}
    rows = [row for row in report.signal if row.layer in matrices]
    if rows:
        return rows
    seen = (report.probe or {}).get("layers")
    names = [name for name in matrices if isinstance(seen, Mapping) and name in seen]
    return [SignalRow(layer=name, depth=matrices[name].depth) for name in names]


def _forward(rows: Sequence[SignalRow], measured: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    names = [row.layer for row in rows]
    predicted = [row.output_rms for row in rows]
    seen = [number(measured.get(f"layer:{name}", {}).get("rms")) for name in names]
    title = "Signal forward"
    caption = "Root mean square of each layer's output. Level is healthy; a steady fall or rise compounds with depth."
    return _curves(title, caption, names, predicted, seen)


def _backward(rows: Sequence[SignalRow], measured: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    names = [row.layer for row in rows]
    predicted = [row.gradient_rms for row in rows]
    seen = [number(measured.get(f"layer:{name}", {}).get("gradient_rms")) for name in names]
    title = "Gradient back"
    caption = "Root mean square of the gradient by each layer's output, read from right to left."
    factor = _meeting(predicted, seen)
    if factor != 1.0:
        seen = [value * factor if value is not None else None for value in seen]
        caption += (
            f" A prediction knows no loss: what was measured is drawn times {svg.short(factor)}, so that both meet at "
            "the last layer."
        )
    return _curves(title, caption, names, predicted, seen)


def _meeting(predicted: Sequence[float | None], seen: Sequence[float | None]) -> float:
    """What the measured curve is multiplied with to meet the predicted one where the gradient comes from."""
    for a, b in zip(reversed(predicted), reversed(seen), strict=True):
        if a and b and math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0 and math.isfinite(a / b):
            return a / b
    return 1.0


def _curves(
    title: str, caption: str, names: Sequence[str], predicted: Sequence[float | None], seen: Sequence[float | None]
) -> Figure | None:
    series = [
        Series(label, values, names=names)
        for label, values in (("predicted", predicted), ("measured", seen))
        if sum(value is not None for value in values) > 1
    ]
    if not series:
        return None
    plot = svg.line_plot(series, title=title, x_label=ORDER, y_label="root mean square", log_y=True)
    return Figure(title, Markup(plot), caption)


def _updates(rows: Sequence[SignalRow], report: Report, measured: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    weights = {row.name: row.weight for row in report.layers}
    names = [row.layer for row in rows]
    ratios = [number(measured.get(f"tensor:{weights[name]}", {}).get("update_to_weight")) for name in names]
    if sum(value is not None for value in ratios) < 2:
        return None
    plot = svg.line_plot(
        [Series("update / weight", ratios, names=names)],
        title="Update ratios",
        x_label=ORDER,
        y_label="norm of the update over norm of the weight",
        log_y=True,
    )
    caption = "How much one optimizer step changes each weight. Layers far below the others hardly learn."
    return Figure("Update ratios", Markup(plot), caption)


def _losses(report: Report) -> Figure | None:
    found = (report.probe or {}).get("losses")
    losses = [number(value) for value in found] if isinstance(found, list | tuple) else []
    if len(losses) < 2:
        return None
    steps = range(1, len(losses) + 1)
    plot = svg.line_plot([Series("loss", losses, x=steps)], title="Loss", x_label="step", y_label="loss")
    return Figure("Loss", Markup(plot), "The loss at each step of the probe, on one batch.")
