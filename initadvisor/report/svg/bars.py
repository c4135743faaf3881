"""Horizontal bars with their labels and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from initadvisor.report.svg.frame import heading, root
from initadvisor.report.svg.markup import element, fitted, label, measure, words
from initadvisor.report.svg.numbers import is_drawn, short
from initadvisor.report.svg.palette import LIGHT, SERIES
from initadvisor.report.svg.scale import Scale, scale_over

ROW = 22.0
MAX_BARS = 60
"""Bars of one plot; the last row says how many were left out."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A label and a value. series: which colour it has, from 0. note: what stands behind the value."""

    label: str
    value: float | None
    series: int = 0
    note: str = ""


def bars(
    rows: Sequence[Bar],
    *,
    title: str,
    description: str = "",
    log: bool = False,
    width: float = 480,
    standalone: bool = False,
) -> str:
    """An `<svg>` of one bar a row, from zero (or from the left edge of a logarithmic axis); as high as it needs.

    Each value stands in figures behind its bar; what is not finite has no bar.
    """
    shown = rows[:MAX_BARS]
    top = 30.0 if standalone else 4.0
    names = min(max((measure(row.label) for row in shown), default=0.0), 0.42 * width)
    notes = max((measure(_figures(row), 11) for row in shown), default=0.0)
    left = 8 + names + 8
    right = max(left + 40, width - min(notes, 0.35 * width) - 14)
    scale = scale_over((row.value for row in shown), left, right, log=log, zero=not log)
    body = [heading(title, width)] if standalone else []
    for index, row in enumerate(shown):
        body += _row(row, top + index * ROW, left, names, scale, width)
    height = top + len(shown) * ROW + 6
    if len(rows) > len(shown):
        body.append(label(f"and {len(rows) - len(shown)} more", left, height + 8))
        height += ROW
    told = description or ". ".join(f"{row.label}: {_figures(row)}" for row in shown[:20])
    return root(width, height, title, told or "no rows", body, standalone=standalone)


def _row(row: Bar, y: float, left: float, names: float, scale: Scale, width: float) -> list[str]:
    number = row.series % SERIES + 1
    drawn = [label(fitted(row.label, names), left - 8, y + 15, anchor="end")]
    end = left
    if row.value is not None and is_drawn(row.value, scale.log):
        zero = scale.start if scale.log else scale.at(0.0)
        here = scale.at(row.value)
        end = max(zero, here)
        drawn.append(
            element(
                "rect",
                element("title", words(f"{row.label}: {_figures(row)}", 160)),
                x=min(zero, here),
                y=y + 4,
                width=max(abs(here - zero), 1.0),
                height=ROW - 8,
                class_=f"ia-f{number}",
                fill=LIGHT[f"s{number}"],
            )
        )
    drawn.append(label(fitted(_figures(row), width - end - 6, 11), end + 6, y + 15, size=11))
    return drawn


def _figures(row: Bar) -> str:
    return f"{short(row.value)} {row.note}".rstrip()
