"""How the rows of a position table lie: a grid of patches behind class tokens, or the offsets inside a window."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

Shape = tuple[int, ...]

PREFIXES = (0, 1, 2, 3, 5)
"""Rows in front of a grid: none, a class token, a distillation token too, BEiT's three offsets, four registers."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows `prefix` + height x width of a table before and after; `axes` are those of the stored table.

    layout: "rows" for (..., rows, channels), "last" for (1, height, width, channels), "first" for channels in front.
    """

    layout: str
    prefix: int
    before: tuple[int, int]
    after: tuple[int, int]

    def describe(self) -> str:
        """In words."""
        extra = f", {self.prefix} rows in front kept" if self.prefix else ""
        return f"{self.before[0]}x{self.before[1]} to {self.after[0]}x{self.after[1]}{extra}"


def grid_of(given: Shape, wanted: Shape) -> Grid | None:
    """How a table of one shape becomes one of the other, or None where its rows make no square grid."""
    if len(given) != len(wanted) or len(given) < 2:
        return None
    if len(given) == 4:
        if given[3] == wanted[3] and given[0] == wanted[0] == 1:
            return Grid("last", 0, (given[1], given[2]), (wanted[1], wanted[2]))
        if given[:2] == wanted[:2]:
            return Grid("first", 0, (given[2], given[3]), (wanted[2], wanted[3]))
        return None
    if given[-1] != wanted[-1] or given[:-2] != wanted[:-2]:
        return None
    for prefix in PREFIXES:
        before, after = _side(given[-2] - prefix), _side(wanted[-2] - prefix)
        if before and after:
            return Grid("rows", prefix, (before, before), (after, after))
    return None


def _side(rows: int) -> int:
    side = isqrt(rows) if rows > 0 else 0
    return side if side * side == rows else 0
