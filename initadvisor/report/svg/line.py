"""Several series over one axis."""

from __future__ import annotations

from collections.abc import Sequence

from initadvisor.report.svg.decimate import decimate
from initadvisor.report.svg.frame import (
    LEGEND_ROW,
    Box,
    heading,
    horizontal_axis,
    legend,
    legend_rows,
    root,
    stroke,
    vertical_axis,
)
from initadvisor.report.svg.markup import element, label, words
from initadvisor.report.svg.numbers import is_drawn, short
from initadvisor.report.svg.palette import LIGHT, SERIES, marker
from initadvisor.report.svg.scale import Scale, scale_over
from initadvisor.report.svg.series import Series, path_through, runs, told

MAX_POINTS = 800
"""Points of a series that are drawn: more than a plot has pixels across."""

MAX_MARKED = 60
"""Points of a series that have a marker each; of more, evenly spread ones have."""

SPARSE_MARKERS = 10
MAX_ABSENT = 40
"""Marks for values that have no place on the axis, of one series."""


def line_plot(
    series: Sequence[Series],
    *,
    title: str,
    description: str = "",
    x_label: str = "",
    y_label: str = "",
    log_y: bool = False,
    log_x: bool = False,
    width: float = 480,
    height: float = 260,
    standalone: bool = False,
) -> str:
    """An `<svg>` of the series; beyond six they share colours, dashes and markers.

    description: what the plot says, for those who do not see it; without one, the ends of each series are told.
    Raises ValueError where a series has not as many places as values.
    """
    top = 26.0 if standalone else 0.0
    rows = legend_rows([one.label for one in series], width - 24)
    head = top + 10 + len(rows) * LEGEND_ROW + (18 if y_label else 6)
    box = Box(58, head, width - 14, height - (42 if x_label else 26))
    x_scale = scale_over((x for one in series for x in one.places()), box.left + 6, box.right - 6, log=log_x)
    y_scale = scale_over((y for one in series for y in one.y), box.bottom - 4, box.top + 4, log=log_y)
    whole = all(isinstance(x, int) for one in series for x in one.places())
    body = [heading(title, width)] if standalone else []
    body += legend(rows, 12, top + 12)
    body += vertical_axis(box, y_scale, y_label) + horizontal_axis(box, x_scale, x_label, whole=whole)
    if not any(is_drawn(y, log_y) for one in series for y in one.y):
        body.append(label("no values to draw", (box.left + box.right) / 2, (box.top + box.bottom) / 2, anchor="middle"))
    for index, one in enumerate(series):
        body += _drawn(index, one, x_scale, y_scale)
    return root(width, height, title, description or told(series), body, standalone=standalone)


def _drawn(index: int, series: Series, x_scale: Scale, y_scale: Scale) -> list[str]:
    pieces = list(runs(series, x_scale, y_scale))
    total = sum(len(piece) for piece in pieces)
    drawn = []
    path = []
    for piece in pieces:
        kept = decimate([(x, y) for _, x, y in piece], max(4, MAX_POINTS * len(piece) // max(total, 1)))
        path.append(path_through(kept))
    if path:
        drawn.append(stroke(index, "".join(path)))
    every = 1 if total <= MAX_MARKED else max(1, total // SPARSE_MARKERS)
    points = [point for piece in pieces for point in piece]
    for place in range((every - 1) // 2, total, every):
        at, x, y = points[place]
        drawn.append(marker(index, x, y, 2.5 if total > 24 else 3, _hover(series, at)))
    return drawn + _absent(index, series, x_scale, y_scale)


def _absent(index: int, series: Series, x_scale: Scale, y_scale: Scale) -> list[str]:
    """A small open arrow at the edge for each value off the axis: up for what is not finite, down for zero or less."""
    number = index % SERIES + 1
    found = []
    for at, (x, y) in enumerate(zip(series.places(), series.y, strict=True)):
        if y is None or is_drawn(y, y_scale.log) or not is_drawn(x, x_scale.log):
            continue
        low = y <= 0 and y > float("-inf")
        edge, turn = (y_scale.start + 2, -6) if low else (y_scale.stop - 2, 6)
        shape = f"M{x_scale.at(x) - 3:.1f} {edge + turn:.1f}l3 {-turn}l3 {turn}"
        found.append(
            element(
                "path", _hover(series, at), d=shape, class_=f"ia-l{number}", fill="none", stroke=LIGHT[f"s{number}"]
            )
        )
    return found[:: max(1, -(-len(found) // MAX_ABSENT))]


def _hover(series: Series, index: int) -> str:
    name = series.names[index] if index < len(series.names) else ""
    return element("title", words(f"{name or series.label}: {short(series.y[index])}", 120))
