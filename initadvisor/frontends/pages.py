"""Handing the pages of a memory map back once they have been read, to keep the resident set small."""

from __future__ import annotations

import mmap

import numpy as np

_SPAN = 8 << 20
"""Bytes read between two hand-backs: large enough to make the call rare, small enough to keep many threads lean."""


class Pages:
    """The pages under an array that lies in a read-only memory map.

    Handing back (MADV_DONTNEED) only forgets the mapping of pages that the page cache still holds. On a writable
    private map it would lose what was written, so `of` answers None there, and where the system has no such call.
    """

    __slots__ = ("_base", "_from", "_map", "_to")

    def __init__(self, memory: mmap.mmap, base: int, first: int, last: int) -> None:
        self._map = memory
        self._base = base
        self._from = first
        self._to = last

    @classmethod
    def of(cls, array: np.ndarray, least: int = _SPAN) -> Pages | None:
        """The pages under a contiguous array of at least `least` bytes, or None where none can be handed back."""
        memory = memory_map(array)
        if memory is None or not hasattr(mmap, "MADV_DONTNEED") or array.nbytes < least:
            return None
        with memoryview(memory) as view:
            if not view.readonly:
                return None
            base = np.frombuffer(view, np.uint8).ctypes.data
        first = array.ctypes.data - base
        return cls(memory, base, first, first + array.nbytes)

    def done(self, piece: np.ndarray) -> None:
        """Everything up to the end of `piece` has been read."""
        end = piece.ctypes.data + piece.nbytes - self._base
        if end - self._from < _SPAN:
            return
        self._hand_back(self._from, end)
        self._from = end

    def release(self) -> None:
        """None of the array is needed any more."""
        self._hand_back(self._from, self._to)

    def _hand_back(self, first: int, last: int) -> None:
        start = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE
        length = last // mmap.PAGESIZE * mmap.PAGESIZE - start
        if length > 0:
            self._map.madvise(mmap.MADV_DONTNEED, start, length)


def memory_map(array: np.ndarray) -> mmap.mmap | None:
    """The memory map that an array is a view of, or None."""
    base: object = array
    while base is not None:
        if isinstance(base, mmap.mmap):
            return base
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return None
