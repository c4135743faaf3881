"""A histogram, with densities drawn over it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

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
from initadvisor.report.svg.markup import element
from initadvisor.report.svg.numbers import short
from initadvisor.report.svg.palette import LIGHT
from initadvisor.report.svg.scale import Scale

TOWERS = 8.0
"""How many times as high as the highest density a bin may be drawn."""

Curve = tuple[str, Sequence[tuple[float, float]]]
"""A label, and points (value, density)."""


def histogram(
    edges: Sequence[float],
    counts: Sequence[float],
    *,
    title: str,
    description: str = "",
    label: str = "measured",
    curves: Sequence[Curve] = (),
    x_label: str = "",
    keys: bool = True,
    width: float = 480,
    height: float = 220,
    standalone: bool = False,
) -> str:
    """An `<svg>` of the density of values in bins: counts over bin width over their total, so that areas are shares.

    edges: one more than counts, increasing; bins may differ in width. curves: densities to compare with, in the units
    of 1 / value. keys: whether the plot names them in a legend. A bin that towers over the densities is cut off.
    Raises ValueError where edges and counts do not go together.
    """
    if len(edges) != len(counts) + 1 or any(not a < b for a, b in pairwise(edges)):
        raise ValueError(f"{len(counts)} counts need {len(counts) + 1} increasing edges, got {len(edges)}")
    total = sum(counts)
    # Empty where nothing was counted: an empty histogram is drawn as that.
    heights = [c / (total * (b - a)) if total else 0.0 for c, (a, b) in zip(counts, pairwise(edges), strict=True)]
    top = 26.0 if standalone else 0.0
    rows = legend_rows([label, *(name for name, _ in curves)] if keys else [], width - 24)
    box = Box(58, top + 16 + len(rows) * LEGEND_ROW, width - 14, height - (42 if x_label else 26))
    ends = [x for _, points in curves for x, _ in points]
    x_scale = Scale(min([edges[0], *ends]), max([edges[-1], *ends]), box.left, box.right)
    y_scale = Scale(0.0, _tallest(heights, curves) * 1.05, box.bottom, box.top)
    body = [heading(title, width)] if standalone else []
    body += legend(rows, 12, top + 12)
    body += vertical_axis(box, y_scale, "", 3) + horizontal_axis(box, x_scale, x_label, 5)
    body.append(_steps(edges, heights, x_scale, y_scale))
    for index, (_, points) in enumerate(curves, 1):
        if points:
            line = " ".join(f"{x_scale.at(x):.1f} {y_scale.at(y):.1f}" for x, y in points)
            body.append(stroke(index, f"M{line}"))
    return root(width, height, title, description or _told(edges, heights, label, curves), body, standalone=standalone)


def _tallest(heights: Sequence[float], curves: Sequence[Curve]) -> float:
    measured = max(heights, default=0.0)
    expected = max((y for _, points in curves for _, y in points), default=0.0)
    # A spike far above what it is compared with would press that flat; its edge is drawn at the top.
    return max(min(measured, TOWERS * expected) if expected > 0 else measured, expected) or 1.0


def _steps(edges: Sequence[float], heights: Sequence[float], x_scale: Scale, y_scale: Scale) -> str:
    """All bins as one filled outline: one element, however many bins."""
    base = y_scale.at(0.0)
    path = f"M{x_scale.at(edges[0]):.1f} {base:.1f}"
    for height, right in zip(heights, edges[1:], strict=True):
        path += f"V{y_scale.at(height):.1f}H{x_scale.at(right):.1f}"
    return element(
        "path",
        d=f"{path}V{base:.1f}z",
        class_="ia-f1 ia-l1",
        fill=LIGHT["s1"],
        fill_opacity="0.28",
        stroke=LIGHT["s1"],
        stroke_width=1,
    )


def _told(edges: Sequence[float], heights: Sequence[float], label: str, curves: Sequence[Curve]) -> str:
    if not any(heights):
        return f"{label}: no values"
    mode = max(range(len(heights)), key=heights.__getitem__)
    told = f"{label}: from {short(edges[0])} to {short(edges[-1])}, "
    told += f"densest between {short(edges[mode])} and {short(edges[mode + 1])}"
    return ". ".join([told, *(f"{name}: a curve over it" for name, points in curves if points)])
