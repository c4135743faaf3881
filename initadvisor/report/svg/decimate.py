"""Fewer points than a plot has pixels, with every extreme kept."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def decimate(points: Sequence[Point], limit: int) -> list[Point]:
    """At most about `limit` of the points, in order: the first, last, lowest and highest of each of limit / 4 parts.

    No spike is lost, whatever its width.
    """
    if len(points) <= limit:
        return list(points)
    parts = max(limit // 4, 1)
    kept: list[Point] = []
    for part in range(parts):
        chunk = points[part * len(points) // parts : (part + 1) * len(points) // parts]
        low = min(range(len(chunk)), key=lambda i: chunk[i][1])
        high = max(range(len(chunk)), key=lambda i: chunk[i][1])
        kept += [chunk[i] for i in sorted({0, low, high, len(chunk) - 1})]
    return kept
