"""One streaming pass over a tensor: the sums that its facts are made of, at close to the speed of memory.

Single-precision elements are summed in single precision along at most `SLAB` elements and in double precision from
there on. What this cannot serve is read in double precision: few elements, a mean far above the spread (again, around
a pilot mean), magnitudes whose squares leave single precision, tiles with NaN or infinity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from initadvisor.analysis.tensors.duplicates import row_keys, row_probes
from initadvisor.analysis.tensors.rows import RowView
from initadvisor.analysis.tensors.tiles import CHUNK, Tile, segments, tiles
from initadvisor.frontends.sources import DivisibleSource

SLAB = 4096
"""Elements that are summed in single precision; short enough for BLAS not to start threads of its own."""

SHORT = 512
"""Elements that are summed one after another, not pairwise, in single precision: down the columns of a tile."""

LARGE, EVERY = 1 << 22, 4
"""Elements from which the sums of interleaved rows are taken of every fourth tile only."""

EXACT_BELOW = 1 << 16
"""Tensors of fewer elements are read in double precision at once."""

COLUMNS = 16
"""Leading columns kept of a tall matrix, to see whether its columns are orthogonal."""

MAX_KEPT_LINES = 1 << 16

_TINY, _HUGE = 1e-15, 1e15
"""Largest magnitudes of a tile between which its squares are safe in single precision."""

_CANCELLING = 100.0
"""Squared mean over variance from which single-precision sums lose the variance."""

_ONES = {kind: np.ones(SLAB, kind) for kind in (np.dtype(np.float32), np.dtype(np.float64))}


@dataclass(slots=True)
class Moments:
    """Sums over the finite elements x of a tensor, of (x - shift) / scale.

    total, square: over all of them. row_sum, row_square: by row, over `row_length` elements of each: all of them, but
    for large tensors whose rows are interleaved.
    `row_keys` are equal for equal rows (see `initadvisor.analysis.tensors.duplicates`), and None where rows do not
    lie in one piece.
    """

    view: RowView
    row_sum: np.ndarray
    row_square: np.ndarray
    row_length: int = 0
    total: float = 0.0
    square: float = 0.0
    shift: float = 0.0
    scale: float = 1.0
    low: float = inf
    high: float = -inf
    nan_count: int = 0
    inf_count: int = 0
    row_keys: np.ndarray | None = None
    columns: np.ndarray | None = None

    @property
    def finite(self) -> int:
        """The number of finite elements."""
        return self.view.size - self.nan_count - self.inf_count

    @property
    def mean(self) -> float:
        """Mean of the finite elements."""
        return self.shift + self.scale * self.total / max(self.finite, 1)

    @property
    def std(self) -> float:
        """Population standard deviation of the finite elements."""
        count = max(self.finite, 1)
        mean = self.total / count
        variance = self.square / count - mean * mean
        return self.scale * float(np.sqrt(np.maximum(variance, 0.0))) if self.low < self.high else 0.0

    @property
    def absmax(self) -> float:
        """Largest magnitude of a finite element; 0 where there is none."""
        return max(abs(self.low), abs(self.high)) if self.low <= self.high else 0.0


def read_moments(source: DivisibleSource, view: RowView, columns: bool = False) -> Moments:
    """Read a whole tensor on this thread; `columns` keeps the first few columns of the leading-axis matrix."""
    return finish(source, view, [read_segment(source, view, *part, columns) for part in segments(view)])


def finish(source: DivisibleSource, view: RowView, parts: Iterable[Moments]) -> Moments:
    """Join the segments of a tensor, and read it again where the first pass was not exact enough."""
    joined = merge(view, list(parts))
    spread = joined.std
    if joined.low >= joined.high:
        return joined
    wide = not isfinite(spread) or not 1e-150 < joined.absmax < 1e150
    shift = joined.mean if isfinite(joined.mean) else 0.0
    if not wide and shift * shift <= _CANCELLING * spread * spread:
        return joined
    scale = joined.absmax if wide else 1.0
    again = [read_segment(source, view, *part, False, shift, scale) for part in segments(view)]
    exact = merge(view, again)
    exact.columns, exact.row_keys = joined.columns, joined.row_keys
    return exact


def read_segment(
    source: DivisibleSource,
    view: RowView,
    first: int,
    last: int,
    columns: bool = False,
    shift: float = 0.0,
    scale: float | None = None,
) -> Moments:
    """The sums of lines [first, last) of the leading axis; in double precision throughout where `scale` is given."""
    rows = last - first if view.outer == 1 else view.rows
    base = first if view.outer == 1 else 0
    part = RowView(1, rows, view.inner) if view.outer == 1 else RowView(last - first, rows, view.inner)
    found = Moments(part, np.zeros(rows), np.zeros(rows), shift=shift, scale=scale or 1.0)
    exact = scale is not None or view.size < EXACT_BELOW
    every = EVERY if view.inner == 1 and view.outer > 1 and view.size >= LARGE and not exact else 1
    if view.outer == 1:
        found.row_length = view.inner
    kept: list[np.ndarray] = []
    probes: list[np.ndarray] = []
    whole_rows = view.outer == 1 and view.rows > 1 and view.line <= CHUNK
    with np.errstate(all="ignore"):
        for index, tile in enumerate(tiles(source, view, first, last)):
            _add(found, tile, base, exact, by_row=index % every == 0)
            if columns:
                kept.append(_leading_columns(tile, view))
            if whole_rows:
                probes.append(row_probes(tile.data[0]))
    found.columns = np.concatenate(kept) if kept else None
    found.row_keys = row_keys(np.concatenate(probes)) if probes else None
    return found


def merge(view: RowView, parts: list[Moments]) -> Moments:
    """The sums of a tensor from those of its segments, which must be in order."""
    if not parts:
        return Moments(view, np.zeros(view.rows), np.zeros(view.rows))
    leading = view.outer == 1
    return Moments(
        view,
        np.concatenate([p.row_sum for p in parts]) if leading else np.sum([p.row_sum for p in parts], axis=0),
        np.concatenate([p.row_square for p in parts]) if leading else np.sum([p.row_square for p in parts], axis=0),
        parts[0].row_length if leading else sum(p.row_length for p in parts),
        sum(p.total for p in parts),
        sum(p.square for p in parts),
        parts[0].shift,
        parts[0].scale,
        min(p.low for p in parts),
        max(p.high for p in parts),
        sum(p.nan_count for p in parts),
        sum(p.inf_count for p in parts),
        _joined([p.row_keys for p in parts]),
        _joined([p.columns for p in parts]),
    )


def _joined(pieces: list[np.ndarray | None]) -> np.ndarray | None:
    held = [piece for piece in pieces if piece is not None]
    return np.concatenate(held) if held and len(held) == len(pieces) else None


def _add(found: Moments, tile: Tile, base: int, exact: bool, by_row: bool) -> None:
    data = tile.data
    low, high = float(data.min()), float(data.max())
    magnitude = max(abs(low), abs(high))
    if exact or data.dtype == np.float64 or not _TINY < magnitude < _HUGE:
        data = data.astype(np.float64)
        if not isfinite(magnitude):
            finite = np.isfinite(data)
            nans = int(np.isnan(data).sum())
            found.nan_count += nans
            found.inf_count += int(data.size - finite.sum()) - nans
            held = data[finite]
            low, high = (float(held.min()), float(held.max())) if held.size else (inf, -inf)
            data = np.where(finite, data, found.shift)
        if found.shift:
            data = data - found.shift
        if found.scale != 1.0:
            data = data / found.scale
    if by_row:
        sums, squares = _sums(data)
        at = tile.row - base
        found.row_sum[at : at + sums.size] += sums
        found.row_square[at : at + sums.size] += squares
        if found.view.outer > 1 and tile.row == 0 and tile.inner == 0:
            found.row_length += data.shape[0] * found.view.inner
    else:
        # The same sums, cheaper: along the memory rather than down its columns.
        sums, squares = _sums(data.reshape(1, data.shape[0], -1))
    found.total += float(sums.sum())
    found.square += float(squares.sum())
    found.low, found.high = min(found.low, low), max(found.high, high)


def _sums(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums and sums of squares of an (outers, rows, inner) tile by row, in double precision."""
    outers, rows, inner = data.shape
    sums = squares = np.zeros(rows)
    if inner == 1:
        for start in range(0, outers, SHORT):
            block = data[start : start + SHORT, :, 0]
            sums = sums + block.sum(0)
            squares = squares + np.einsum("or,or->r", block, block)
        return sums, squares
    ones = _ONES[data.dtype]
    for start in range(0, inner, SLAB):
        slab = data[:, :, start : start + SLAB]
        sums = sums + np.vecdot(slab, ones[: slab.shape[2]]).sum(0, dtype=np.float64)
        squares = squares + np.vecdot(slab, slab).sum(0, dtype=np.float64)
    return sums, squares


def _leading_columns(tile: Tile, view: RowView) -> np.ndarray:
    lines = tile.data.shape[1] if view.outer == 1 else tile.data.shape[0]
    return tile.data.reshape(lines, -1)[:, :COLUMNS].copy()
