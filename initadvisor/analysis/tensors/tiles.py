"""Reading a tensor tile by tile: chunks that stay in cache and know which rows they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from initadvisor.analysis.tensors.rows import RowView
from initadvisor.frontends.sources import DivisibleSource

CHUNK = 1 << 18
"""Elements of a tile: 1 MiB in single precision, which the second-level cache holds beside what a pass writes."""

SEGMENT = 1 << 22
"""Elements of the part of a tensor that one thread takes at a time."""


class Tile(NamedTuple):
    """Elements [outer, row, :] of a `RowView`: `data` has the shape (outers, rows, inner part).

    `outer`, `row` and `inner` are the indices of its first element.
    """

    data: np.ndarray
    outer: int
    row: int
    inner: int


def segments(view: RowView) -> list[tuple[int, int]]:
    """The view cut along its leading axis (rows, or outer) into parts of about `SEGMENT` elements."""
    total = (view.rows if view.outer == 1 else view.outer) if view.size else 0
    step = max(SEGMENT // max(view.line, 1), 1)
    return [(start, min(start + step, total)) for start in range(0, total, step)]


def tiles(source: DivisibleSource, view: RowView, first: int, last: int) -> Iterator[Tile]:
    """The tiles of lines [first, last) of the leading axis, in storage order; data is valid until the next tile."""
    line = view.line
    if line <= CHUNK:
        many = max(CHUNK // max(line, 1), 1)
        at = first
        for piece in source.part(first * line, last * line).chunks(many * line):
            lines = piece.size // max(line, 1)
            if view.outer == 1:
                yield Tile(piece.reshape(1, lines, view.inner), 0, at, 0)
            else:
                yield Tile(piece.reshape(lines, view.rows, view.inner), at, 0, 0)
            at += lines
        return
    for at in range(first, last):
        yield from _within(source, view, at)


def _within(source: DivisibleSource, view: RowView, at: int) -> Iterator[Tile]:
    """The tiles of one line that is larger than a tile."""
    leading = view.outer == 1
    rows = 1 if leading else view.rows
    start = at * view.line
    if view.inner <= CHUNK:
        row, step = 0, CHUNK // view.inner
        for piece in source.part(start, start + view.line).chunks(step * view.inner):
            held = piece.size // view.inner
            yield Tile(piece.reshape(1, held, view.inner), at, row, 0)
            row += held
        return
    for row in range(rows):
        inner, begin = 0, start + row * view.inner
        for piece in source.part(begin, begin + view.inner).chunks(CHUNK):
            yield Tile(piece.reshape(1, 1, piece.size), 0 if leading else at, at if leading else row, inner)
            inner += piece.size
