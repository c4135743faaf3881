"""Drawing a region of a tensor: any dtype, any slices, several threads, never more than the region in memory.

A region is a tuple of slices, one an axis (a sharded dimension, a strided subset), or a `range` of the C-order index
(a flat shard). Where a region takes narrow pieces of the last axes, the elements between them are drawn too and left
out: at most `1 / share` times the work, in chunks of `_CHUNK` elements.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np

from initadvisor.errors import UsageError
from initadvisor.initializers.draws import constants as c
from initadvisor.initializers.draws.deviates import Array, Fill, Workspace
from initadvisor.initializers.draws.key import Key
from initadvisor.initializers.draws.words import WordStream

Region = tuple[slice, ...] | range
_CHUNK = 2 * c.PAIRS
_ELEMENTS_PER_THREAD = 1 << 19


def draw_region(
    fill: Fill,
    scale: float,
    mean: float,
    key: Key,
    shape: Sequence[int],
    out: Array,
    region: Region | None = None,
    threads: int | None = None,
) -> None:
    """Write mean + scale * deviate of a region of a tensor of `shape` into `out`, whose shape is that of the region.

    `out` is of any float dtype and any strides. float64 takes the float32 deviates and scales them in float64; half
    types are scaled in float32 and rounded once. `threads` is at most how many to use; None leaves it to the machine.
    """
    writer = _Writer(fill, scale, mean, key)
    if isinstance(region, range):
        _flat(writer, region, out, threads)
        return
    bounds = normalise(shape, region)
    if out.shape != tuple(len(r) for r in bounds):
        raise UsageError(f"a region of shape {tuple(len(r) for r in bounds)} was to be drawn into one of {out.shape}")
    if all(len(r) == n for r, n in zip(bounds, shape, strict=True)) and out.flags.c_contiguous:
        _flat(writer, range(prod(shape)), out.reshape(-1), threads)
    elif out.size:
        _sliced(writer, 0, tuple(shape), bounds, out)


def normalise(shape: Sequence[int], region: tuple[slice, ...] | None) -> tuple[range, ...]:
    """The region as one range an axis; raises UsageError where it does not fit the shape or runs backwards."""
    if region is None:
        return tuple(range(n) for n in shape)
    if len(region) != len(shape):
        raise UsageError(f"a region of {len(region)} slices does not fit a tensor of shape {tuple(shape)}")
    bounds = tuple(range(*part.indices(n)) for part, n in zip(region, shape, strict=True))
    if any(r.step < 1 for r in bounds):
        raise UsageError("a region's slices must run forwards", hint="use a positive step")
    return bounds


class _Writer:
    """Writes runs of consecutive elements of one draw; one a thread, as it owns a stream and scratch memory."""

    def __init__(self, fill: Fill, scale: float, mean: float, key: Key) -> None:
        self.arguments = (fill, scale, mean, key)
        self._fill, self._scale, self._mean = fill, scale, mean
        self._stream, self._workspace, self._size = WordStream(key), Workspace(0), 0
        self._chunk = np.empty(0, np.float32)

    def run(self, start: int, out: Array) -> None:
        """Write elements [start, start + len(out)) into a 1-D array of any float dtype and stride."""
        if out.dtype == np.float32 and out.flags.c_contiguous:
            self._scaled(start, out)
            return
        for offset in range(0, len(out), _CHUNK):
            part = out[offset : offset + _CHUNK]
            if len(self._chunk) < len(part):
                self._chunk = np.empty(len(part), np.float32)
            chunk = self._chunk[: len(part)]
            if out.dtype == np.float64:
                self._deviates(start + offset, chunk, 1.0)
                part[...] = chunk
                part *= self._scale
                if self._mean:
                    part += self._mean
            else:
                self._scaled(start + offset, chunk)
                part[...] = chunk

    def _scaled(self, start: int, out: Array) -> None:
        self._deviates(start, out, self._scale)
        if self._mean:
            np.add(out, np.float32(self._mean), out=out)

    def _deviates(self, start: int, out: Array, scale: float) -> None:
        if self._size < min(len(out), c.PAIRS):
            self._workspace, self._size = Workspace(len(out)), min(len(out), c.PAIRS)
        self._fill(self._stream, start, out, scale, self._workspace)


def _flat(writer: _Writer, indices: range, out: Array, threads: int | None) -> None:
    """Elements of a forward range of the C-order index into a 1-D array."""
    if indices.step != 1:
        _sliced(writer, 0, (indices.stop,), (indices,), out)
        return
    count = min(threads or thread_count(), len(indices) // _ELEMENTS_PER_THREAD)
    if count < 2:
        writer.run(indices.start, out)
        return
    # Cut where a block starts, so that no pair of deviates is computed by two threads.
    cuts = [len(indices) * i // count // _CHUNK * _CHUNK for i in range(count)] + [len(indices)]

    def work(i: int) -> None:
        _Writer(*writer.arguments).run(indices.start + cuts[i], out[cuts[i] : cuts[i + 1]])

    in_threads(work, count)


def thread_count() -> int:
    """How many threads a large draw may use: `OMP_NUM_THREADS`, else the cores that this process may run on."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal():
        return max(int(wanted), 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(work: Callable[[int], None], count: int) -> None:
    """Run work(0) .. work(count - 1) at once; the array operations inside release the interpreter lock."""
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, range(count)))


def _sliced(writer: _Writer, start: int, shape: tuple[int, ...], bounds: tuple[range, ...], out: Array) -> None:
    """A strided region of the sub-tensor of `shape` whose first element has C-order index `start`."""
    rows, inner = bounds[0], prod(shape[1:])
    whole = all(len(r) == n for r, n in zip(bounds[1:], shape[1:], strict=True))
    if whole and rows.step == 1 and out.flags.c_contiguous:
        writer.run(start + rows.start * inner, out.reshape(-1))
    elif inner > _CHUNK:
        for i, row in enumerate(rows):
            _sliced(writer, start + row * inner, shape[1:], bounds[1:], out[i])
    else:
        step = max(_CHUNK // (inner * rows.step), 1)
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            span = some[-1] + 1 - some[0]
            flat = np.empty(span * inner, out.dtype)
            writer.run(start + some[0] * inner, flat)
            picks = (slice(0, None, rows.step), *(slice(r.start, r.stop, r.step) for r in bounds[1:]))
            out[first : first + step] = flat.reshape(span, *shape[1:])[picks]
