"""Rows, filters and whole tensors that are equal bit by bit: what a broken symmetry or a shared copy looks like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from initadvisor.analysis.tensors.rows import RowView
from initadvisor.analysis.tensors.sampling import whole
from initadvisor.analysis.tensors.tiles import CHUNK, segments, tiles
from initadvisor.frontends.sources import DivisibleSource

PROBES = 4
"""Elements of a row that make up its key: rows are hashed in full only where keys collide."""

MAX_LINE = 1 << 22
"""Elements of one line that are read at once for the keys of rows that do not lie in one piece."""


def duplicate_rows(source: DivisibleSource, view: RowView, keys: np.ndarray | None = None) -> float | None:
    """The share of rows that equal an earlier one bit by bit; None where rows are too long and scattered to compare.

    `keys` are those of `row_keys` for all rows, where a pass has collected them.
    """
    if view.rows < 2 or not view.length:
        return 0.0
    keys = _scattered_keys(source, view) if keys is None else keys
    if keys is None:
        return None
    if distinct(keys) == view.rows:
        return 0.0
    return 1.0 - distinct(row_hashes(source, view)) / view.rows


def distinct(values: np.ndarray) -> int:
    """The number of distinct values of a flat array."""
    ordered = np.sort(values)
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + min(values.size, 1)


def row_hashes(source: DivisibleSource, view: RowView) -> np.ndarray:
    """A 64-bit hash of the bits of each row: sums of elements times pseudo-random odd numbers, modulo 2**64."""
    hashes = np.zeros(view.rows, np.uint64)
    for first, last in segments(view):
        for tile in tiles(source, view, first, last):
            outers, rows, inner = tile.data.shape
            place = (tile.outer + np.arange(outers))[:, None] * view.inner + tile.inner + np.arange(inner)
            bits = np.ascontiguousarray(tile.data).view(np.uint32 if tile.data.itemsize == 4 else np.uint64)
            product = bits.astype(np.uint64) * _scramble(place)[:, None, :]
            hashes[tile.row : tile.row + rows] += _fold(product).sum((0, 2), dtype=np.uint64)
    return hashes


def copies(sources: Mapping[str, DivisibleSource], signature: Mapping[str, tuple[object, ...]]) -> dict[str, int]:
    """For each tensor, how many others hold the same bits in the same shape.

    `signature` is anything that equal tensors share; only tensors of equal signature are compared.
    """
    groups: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for name, source in sources.items():
        groups[(source.dtype, source.shape, *signature[name])].append(name)
    count = dict.fromkeys(sources, 0)
    for names in groups.values():
        classes: list[list[str]] = []
        for name in names:
            twin = next((held for held in classes if equal_bits(sources[held[0]], sources[name])), None)
            if twin is None:
                classes.append([name])
            else:
                twin.append(name)
        for held in classes:
            for name in held:
                count[name] = len(held) - 1
    return count


def equal_bits(one: DivisibleSource, other: DivisibleSource) -> bool:
    """Whether two sources of equal shape hold the same numbers; stops at the first difference."""
    for mine, theirs in zip(one.chunks(CHUNK), other.chunks(CHUNK), strict=True):
        kind = np.uint32 if mine.itemsize == 4 else np.uint64
        if not np.array_equal(np.ascontiguousarray(mine).view(kind), np.ascontiguousarray(theirs).view(kind)):
            return False
    return True


def row_probes(rows: np.ndarray) -> np.ndarray:
    """A few elements of each row of a matrix, evenly spread: the makings of `row_keys`."""
    step = max((rows.shape[1] - 1) // (PROBES - 1), 1)
    return rows[:, ::step][:, :PROBES].copy()


def row_keys(probes: np.ndarray) -> np.ndarray:
    """A 64-bit key of each row from its probes: equal rows have equal keys."""
    kind = np.uint32 if probes.itemsize == 4 else np.uint64
    bits = np.ascontiguousarray(probes).view(kind).astype(np.uint64)
    keys: np.ndarray = _fold(bits * _scramble(np.arange(bits.shape[1]))).sum(1, dtype=np.uint64)
    return keys


def _scattered_keys(source: DivisibleSource, view: RowView) -> np.ndarray | None:
    """The keys of rows that are longer than a tile or interleaved with each other."""
    if view.outer == 1:
        width = min(PROBES, view.inner)
        return row_keys(np.stack([whole(source.part(s, s + width)) for s in range(0, view.size, view.inner)]))
    if view.line > MAX_LINE:
        return None
    picked = []
    for probe in range(PROBES):
        outer, inner = probe * view.outer // PROBES, probe * view.inner // PROBES
        line = whole(source.part(outer * view.line, (outer + 1) * view.line))
        picked.append(line.reshape(view.rows, view.inner)[:, inner])
    return row_keys(np.stack(picked, axis=1))


def _scramble(numbers: np.ndarray) -> np.ndarray:
    """Odd pseudo-random 64-bit numbers from counters (the finaliser of SplitMix64)."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    odd: np.ndarray = (mixed ^ (mixed >> np.uint64(31))) | np.uint64(1)
    return odd


def _fold(product: np.ndarray) -> np.ndarray:
    """Bring the high bits, which depend on all of a product, down to the low ones."""
    folded: np.ndarray = product ^ (product >> np.uint64(32))
    return folded
