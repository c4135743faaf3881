"""Whole numbers as protobuf packs them, decoded with numpy: seven bits a byte, the top bit set on all but the last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_CHUNK = 1 << 20
_LONGEST = 10


def count(data: np.ndarray) -> int:
    """How many numbers the bytes hold."""
    return sum(int(np.count_nonzero(data[at : at + _CHUNK] < 0x80)) for at in range(0, data.size, _CHUNK))


def decode(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The numbers under a type of at most 64 bits, wrapped into it as protobuf does."""
    out = np.empty(count(data), dtype)
    at = 0
    for part in _parts(data):
        ends = np.flatnonzero(part < 0x80)
        starts = np.concatenate([[0], ends[:-1] + 1])
        lengths = ends - starts + 1
        values = np.zeros(len(ends), np.uint64)
        for place in range(min(int(lengths.max(initial=0)), _LONGEST)):
            has = lengths > place
            digits = (part[starts[has] + place] & 0x7F).astype(np.uint64)
            values[has] |= digits << np.uint64(7 * place)
        out[at : at + len(ends)] = values.astype(np.int64).astype(dtype) if dtype.kind != "u" else values.astype(dtype)
        at += len(ends)
    return out


def _parts(data: np.ndarray) -> Iterator[np.ndarray]:
    """The bytes in parts that end where a number ends; bytes after the last end are no number."""
    at = 0
    while at < data.size:
        part = data[at : at + _CHUNK]
        if at + _CHUNK < data.size:
            ends = np.flatnonzero(part[-_LONGEST:] < 0x80)
            if not len(ends):
                return
            part = part[: part.size - min(_LONGEST, part.size) + int(ends[-1]) + 1]
        yield part
        at += part.size
