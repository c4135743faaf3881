"""A row of numbers as a row of characters, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

BLOCKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
"""From one eighth of a line to a whole one."""

DIGITS = "01234567"
"""Where the output has no blocks."""

DECADES = 2.0
"""The least range that a curve spans: a flat signal is to look flat."""


def curve(values: Sequence[float], width: int, *, blocks: bool = True) -> str:
    """One character a value, or a bucket of values where there are more than `width`; "." stands for zero.

    A bucket shows the value furthest from the middle of the curve, so that no spike is lost.
    """
    logs = [math.log10(v) if v > 0 and math.isfinite(v) else None for v in values]
    known = [v for v in logs if v is not None]
    if not known or width < 1:
        return "." * min(len(values), max(width, 0))
    middle = 0.5 * (min(known) + max(known))
    half = 0.5 * (max(known) - min(known))
    reach = max(half, 0.5 * DECADES)
    marks = BLOCKS if blocks else DIGITS
    if half < 0.5 * DECADES:
        middle -= reach / len(marks)  # half a step: a flat signal lies inside one mark, not at the edge of two
    return "".join(_mark(bucket, middle, reach, marks) for bucket in _buckets(logs, width))


def _buckets(logs: Sequence[float | None], width: int) -> list[Sequence[float | None]]:
    count = min(len(logs), width)
    edges = [i * len(logs) // count for i in range(count + 1)]
    return [logs[a:b] for a, b in pairwise(edges)]


def _mark(bucket: Sequence[float | None], middle: float, reach: float, marks: str) -> str:
    known = [v for v in bucket if v is not None]
    if not known:
        return "."
    value = max(known, key=lambda v: abs(v - middle))
    place = (value - middle + reach) / (2 * reach)
    return marks[min(len(marks) - 1, max(0, int(place * len(marks))))]
