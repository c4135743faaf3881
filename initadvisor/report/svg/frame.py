"""What every plot stands in: the root with its title and description, the axes, the legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from initadvisor.report.svg.markup import element, fitted, label, measure, words
from initadvisor.report.svg.numbers import short
from initadvisor.report.svg.palette import ALONE, DASHES, LIGHT, SERIES, marker
from initadvisor.report.svg.scale import Scale

SIZE = 12.0
"""Of text, in the units of the plot; a page may scale that down by a third and it can still be read."""

LEGEND_ROW = 18.0
_KEY = 26.0

MAX_TITLE = 300


@dataclass(frozen=True, slots=True)
class Box:
    """The part of a plot that data are drawn in."""

    left: float
    top: float
    right: float
    bottom: float


def root(
    width: float, height: float, title: str, description: str, body: Sequence[str], *, standalone: bool = False
) -> str:
    """The whole `<svg>`. title, description: plain text, for those who do not see the plot."""
    head = [element("title", words(title, MAX_TITLE) or "plot")]
    if description:
        head.append(element("desc", words(description, 4 * MAX_TITLE)))
    css = "ia-svg"
    if standalone:
        css = "ia-svg ia-alone"
        head.append(f"<style>{ALONE}</style>")
        head.append(element("rect", x=0, y=0, width=width, height=height, class_="ia-paper", fill=LIGHT["paper"]))
    return element(
        "svg",
        *head,
        *body,
        xmlns="http://www.w3.org/2000/svg",
        role="img",
        class_=css,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        color=LIGHT["ink"] if standalone else None,
        font_family="system-ui, sans-serif",
    )


def heading(title: str, width: float) -> str:
    """The title of a plot that stands alone."""
    text = fitted(title, width - 24, 14)
    return element(
        "text", words(text), x=12, y=20, class_="ia-text", font_size=14, font_weight="600", fill="currentColor"
    )


def vertical_axis(box: Box, scale: Scale, name: str, wanted: int = 5) -> list[str]:
    """Grid lines with their values to the left of the box, and the name of the axis above it."""
    drawn = []
    for value in scale.ticks(wanted):
        y = scale.at(value)
        drawn.append(_grid(box.left, y, box.right, y))
        drawn.append(label(short(value), box.left - 6, y + 4, anchor="end", size=11))
    if name:
        drawn.append(label(fitted(name, box.right - 4, 11), 4, box.top - 8, size=11))
    return drawn


def horizontal_axis(box: Box, scale: Scale, name: str, wanted: int = 6, *, whole: bool = False) -> list[str]:
    """Values below the box, only whole ones where `whole`; the name of the axis below them, at its right end."""
    drawn = [_grid(box.left, box.bottom, box.right, box.bottom, strong=True)]
    for value in scale.ticks(wanted, whole=whole):
        x = scale.at(value)
        drawn.append(_grid(x, box.bottom, x, box.bottom + 4, strong=True))
        drawn.append(label(short(value, 4), x, box.bottom + 17, anchor="middle", size=11))
    if name:
        drawn.append(label(fitted(name, box.right - 8, 11), box.right, box.bottom + 33, anchor="end", size=11))
    return drawn


def legend_rows(names: Sequence[str], width: float) -> list[list[tuple[int, float, str]]]:
    """Rows of (series, x, label) that fit into a width; none for a single series."""
    if len(names) < 2:
        return []
    rows: list[list[tuple[int, float, str]]] = [[]]
    x = 0.0
    for index, name in enumerate(names):
        text = fitted(name, min(width - _KEY - 8, 240), SIZE)
        room = _KEY + measure(text, SIZE) + 14
        if rows[-1] and x + room > width:
            rows.append([])
            x = 0.0
        rows[-1].append((index, x, text))
        x += room
    return rows


def legend(rows: Sequence[Sequence[tuple[int, float, str]]], left: float, top: float) -> list[str]:
    """The keys of the series: a stretch of line in its dashes with its marker, and the label."""
    drawn = []
    for row, entries in enumerate(rows):
        y = top + row * LEGEND_ROW
        for index, x, text in entries:
            drawn.append(stroke(index, f"M{left + x:.1f} {y:.1f}h20"))
            drawn.append(marker(index, left + x + 10, y))
            drawn.append(label(text, left + x + _KEY, y + 4))
    return drawn


def stroke(index: int, path: str, thickness: float = 1.75) -> str:
    """A line in the colour and dashes of a series."""
    number = index % SERIES + 1
    return element(
        "path",
        d=path,
        class_=f"ia-l{number}",
        fill="none",
        stroke=LIGHT[f"s{number}"],
        stroke_width=thickness,
        stroke_dasharray=DASHES[index % SERIES],
        stroke_linejoin="round",
    )


def _grid(x1: float, y1: float, x2: float, y2: float, strong: bool = False) -> str:
    return element(
        "path",
        d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}",
        class_="ia-rule",
        stroke=LIGHT["rule"],
        stroke_width=1,
        stroke_opacity=None if strong else "0.35",
    )
