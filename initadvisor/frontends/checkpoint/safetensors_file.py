"""`.safetensors`, read by a checked memory map: a little JSON header, then the elements. Neither torch nor code.

The format: 8 bytes of little-endian header length, the header (a JSON object from names to dtype, shape and byte
range, plus `__metadata__`), then the data that the ranges refer to. https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import mmap
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from initadvisor.errors import FormatError, LimitError, first_line
from initadvisor.frontends.sources import ArraySource
from initadvisor.frontends.storage_types import storage_type
from initadvisor.graph import Event, Parameter

MAX_HEADER_BYTES = 16 << 20
"""A header of 100,000 tensors has about 12 MB. The 100 MB of the reference reader can hold gigabytes of objects."""

MAX_BRACKETS = 1_000_000
"""A tensor takes three. Empty objects would otherwise become gigabytes in the parser."""

MAX_RANK = 64

DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "F8_E8M0": "float8_e8m0fnu", "F4": "float4_e2m1fn",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool", "C64": "complex64",
}  # fmt: skip

UNREADABLE = {"F6_E2M3": 6, "F6_E3M2": 6}
"""Types that the format knows and this reader does not decode, with their bits."""


class Entry(NamedTuple):
    """One tensor of the header: `start` and `stop` are bytes from the beginning of the data."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def read(file: Path, events: list[Event]) -> dict[str, Parameter]:
    """The tensors of a file, memory-mapped; raises FormatError or LimitError, naming the tensor that is off."""
    size = file.stat().st_size
    with file.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if size < 8 or length < 2:
            raise FormatError(f"{file} is not a safetensors file: {size} bytes, header of {length} bytes")
        if length > size - 8:
            raise FormatError(f"{file} is truncated or not safetensors: a header of {length} bytes in {size} bytes")
        if length > MAX_HEADER_BYTES:
            raise LimitError(f"{file}: the header has {length} bytes; at most {MAX_HEADER_BYTES} are read")
        header = handle.read(length)
        data_bytes = size - 8 - length
        entries = _entries(file, _parse(file, header), data_bytes)
        _check_ranges(file, entries, data_bytes, events)
        memory = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    parameters: dict[str, Parameter] = {}
    for entry in entries:
        source = None
        if entry.dtype in DTYPES:
            kind = storage_type(DTYPES[entry.dtype])
            count = (entry.stop - entry.start) // kind.storage.itemsize
            stored = np.frombuffer(memory, kind.storage, count, 8 + length + entry.start)
            source = ArraySource(stored, kind.name, entry.shape)
        else:
            events.append(Event("unreadable dtype", f"elements of type {entry.dtype} are not read", where=entry.name))
        parameters[entry.name] = Parameter(
            name=entry.name,
            shape=entry.shape,
            dtype=DTYPES.get(entry.dtype, entry.dtype.lower()),
            source=source,
            buffer=is_buffer(entry.name),
        )
    return parameters


def is_buffer(name: str) -> bool:
    """Whether a state dict's entry is a statistic rather than a weight, by the last part of its name."""
    return name.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")


def _parse(file: Path, header: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("a name appears twice")
        return table

    if header[:1] != b"{":
        raise FormatError(f"{file} is not a safetensors file: its header is no JSON object")
    if header.count(b"{") + header.count(b"[") > MAX_BRACKETS:
        raise LimitError(f"{file}: the safetensors header holds more than {MAX_BRACKETS} objects and lists")
    try:
        parsed = json.loads(header.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{file}: the safetensors header cannot be parsed: {first_line(error)}") from None
    if not isinstance(parsed, dict):
        raise FormatError(f"{file}: the safetensors header is no JSON object")
    return parsed


def _entries(file: Path, header: dict[str, Any], data_bytes: int) -> list[Entry]:
    entries = []
    for name, given in header.items():
        if name == "__metadata__":
            continue
        where = f"{file}: tensor {name!r}"
        if not isinstance(given, dict):
            raise FormatError(f"{where} is described by {type(given).__name__}, not by an object")
        dtype = given.get("dtype")
        if not isinstance(dtype, str) or (dtype not in DTYPES and dtype not in UNREADABLE):
            raise FormatError(f"{where} has the unknown dtype {str(dtype)[:40]!r}")
        shape, offsets = _naturals(given.get("shape")), _naturals(given.get("data_offsets"))
        if shape is None or len(shape) > MAX_RANK:
            raise FormatError(f"{where} has no valid shape: {str(given.get('shape'))[:80]}")
        if offsets is None or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise FormatError(f"{where} has no valid data_offsets: {str(given.get('data_offsets'))[:80]}")
        bits = UNREADABLE[dtype] if dtype in UNREADABLE else storage_type(DTYPES[dtype]).bits
        needed = (prod(shape) * bits + 7) // 8
        if offsets[1] > data_bytes:
            raise LimitError(f"{where} ends at byte {offsets[1]} of {data_bytes}: the file is truncated or lies")
        if offsets[1] - offsets[0] != needed:
            raise LimitError(f"{where} of shape {shape} ({dtype}) needs {needed} bytes, not {offsets[1] - offsets[0]}")
        entries.append(Entry(name, dtype, tuple(shape), offsets[0], offsets[1]))
    return entries


def _naturals(given: Any) -> list[int] | None:
    if isinstance(given, list) and all(type(number) is int and 0 <= number < 1 << 63 for number in given):
        return given
    return None


def _check_ranges(file: Path, entries: list[Entry], data_bytes: int, events: list[Event]) -> None:
    end, before = 0, ""
    for entry in sorted((e for e in entries if e.stop > e.start), key=lambda e: e.start):
        if entry.start < end:
            raise FormatError(f"{file}: the tensors {before!r} and {entry.name!r} overlap")
        if entry.start > end:
            events.append(Event("unused bytes", f"{entry.start - end} bytes belong to no tensor", where=entry.name))
        end, before = entry.stop, entry.name
    if end < data_bytes:
        events.append(Event("unused bytes", f"{data_bytes - end} bytes after the last tensor belong to none"))
