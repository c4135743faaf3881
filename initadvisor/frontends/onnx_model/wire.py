"""The model file without its weights: a scan over the protobuf wire format that leaves tensor data where it lies.

A model of gigabytes is mostly tensor data. The scan copies everything else into a small message of the same schema, in
which each large payload is replaced by a marker; the message is then parsed by onnx as usual, whatever the size of
the file (the protobuf libraries stop at 2 GiB). Field numbers are those of onnx.proto; they never change.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from initadvisor.errors import FormatError, LimitError

INLINE_BYTES = 1024
"""Payloads up to this size stay in the message: shapes, scalars, small tables."""

SKELETON_BYTES = 96 << 20
"""The most bytes that may be neither weights nor text to skip; the largest real graphs seen take about 20 MB."""

FIELDS = 2_000_000
"""The most fields that are looked at; a real graph has one or two a node outside of large nodes."""

DEPTH = 100
"""Nested messages; the protobuf libraries stop there too."""

_TENSOR = "tensor"
CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {},
}
"""The messages that can hold tensor data, by the field that holds them."""

DROPPED: dict[str, frozenset[int]] = {
    "model": frozenset({6, 20}),
    "graph": frozenset({10}),
    "function": frozenset({8}),
    "node": frozenset({6}),
    "attribute": frozenset({13}),
    _TENSOR: frozenset({12}),
    "sparse": frozenset(),
}
"""Doc strings and training graphs: never read, and as large as the writer likes."""

PAYLOADS: dict[int, str] = {
    4: "float_data",
    5: "int32_data",
    7: "int64_data",
    9: "raw_data",
    10: "double_data",
    11: "uint64_data",
}
"""The fields of a TensorProto that are left in the file; the integers among them are varints, one after the other."""

_RAW, _STRINGS = 9, 6


@dataclass(frozen=True, slots=True)
class Payload:
    """Where the elements of one tensor lie in the file, and the name of the field that holds them."""

    offset: int
    length: int
    field: str


class Payloads:
    """The payloads that a scan left in the file, found again by the markers that stand for them.

    A marker opens with a secret of this scan, so that no file can forge one.
    """

    __slots__ = ("_entries", "_secret")

    def __init__(self) -> None:
        self._secret = os.urandom(8)
        self._entries: list[Payload] = []

    def add(self, payload: Payload) -> bytes:
        """Keep a payload; gives its marker."""
        self._entries.append(payload)
        return self._secret + (len(self._entries) - 1).to_bytes(8, "little")

    def find(self, raw: bytes) -> Payload | None:
        """The payload that `raw` stands for, or None where `raw` is data."""
        if len(raw) != 16 or not raw.startswith(self._secret):
            return None
        return self._entries[int.from_bytes(raw[8:], "little")]


def skeleton(data: memoryview) -> tuple[bytes, Payloads]:
    """Split a serialized ModelProto into a message without large payloads and the payloads' places.

    Raises FormatError where the bytes are no protobuf message, LimitError where what is not weights is too large.
    """
    scan = _Scan(data)
    pieces = scan.message("model", 0, len(data), 0)
    if sum(map(len, pieces)) > SKELETON_BYTES:
        raise LimitError(f"more than {SKELETON_BYTES >> 20} MB of the file are graph, not weights")
    return b"".join(pieces), scan.payloads


Pieces = list[bytes | memoryview]


class _Scan:
    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.payloads = Payloads()
        self._fields = FIELDS

    def message(self, kind: str, start: int, end: int, depth: int) -> Pieces:
        """The message in [start, end) as pieces to join, its large payloads replaced."""
        if depth > DEPTH:
            raise FormatError(f"messages are nested more than {DEPTH} deep", hint="the file is damaged or hostile")
        if kind == _TENSOR:
            return self._tensor(start, end)
        children, dropped = CHILDREN[kind], DROPPED[kind]
        pieces: Pieces = []
        at = kept_from = start
        while at < end:
            begin = at
            number, wire, body, at = self._field(at, end)
            if number in dropped:
                self._keep(pieces, kept_from, begin)
                kept_from = at
            elif wire == 2 and at - body > INLINE_BYTES and number in children:
                inner = self.message(children[number], body, at, depth + 1)
                if len(inner) == 1 and len(inner[0]) == at - body:
                    continue
                self._keep(pieces, kept_from, begin)
                pieces.append(_varint(number << 3 | 2) + _varint(sum(map(len, inner))))
                pieces.extend(inner)
                kept_from = at
        self._keep(pieces, kept_from, end)
        return pieces

    def _tensor(self, start: int, end: int) -> Pieces:
        """A TensorProto with its block of data replaced by a marker in `raw_data`, where there is one large block.

        Several blocks (elements written one field each) stay, and protobuf joins them.
        """
        pieces: Pieces = []
        holders: set[int] = set()
        large: list[tuple[int, int, int, int]] = []
        blocks = 0
        left_out: list[tuple[int, int]] = []
        at = start
        while at < end:
            begin = at
            number, wire, body, at = self._field(at, end)
            if number in PAYLOADS or number == _STRINGS:
                holders.add(number)
                blocks += 1
                if wire == 2 and at - body > INLINE_BYTES and number != _STRINGS:
                    large.append((number, begin, body, at))
            elif number in DROPPED[_TENSOR]:
                left_out.append((begin, at))
        if len(holders) > 1:
            raise FormatError("a tensor holds its elements twice, in raw_data and in a typed field")
        if large and blocks == 1:
            number, begin, body, stop = large[0]
            marker = self.payloads.add(Payload(body, stop - body, PAYLOADS[number]))
            left_out.append((begin, stop))
            pieces.append(_varint(_RAW << 3 | 2) + _varint(len(marker)) + marker)
        kept_from = start
        for begin, stop in sorted(left_out):
            self._keep(pieces, kept_from, begin)
            kept_from = stop
        self._keep(pieces, kept_from, end)
        return pieces

    def _keep(self, pieces: Pieces, start: int, end: int) -> None:
        if end > start:
            pieces.append(self.data[start:end])

    def _field(self, at: int, end: int) -> tuple[int, int, int, int]:
        """The field at `at`: number, wire type, where its body starts and where it ends."""
        self._fields -= 1
        if self._fields < 0:
            raise LimitError(f"the file has more than {FIELDS:,} fields")
        return read_field(self.data, at, end)


def read_field(data: memoryview, at: int, end: int) -> tuple[int, int, int, int]:
    """The protobuf field at `at`: number, wire type, where its body starts and where it ends.

    Raises FormatError where there is none, or where it reaches past `end`.
    """
    tag, at = _read_varint(data, at, end)
    number, wire = tag >> 3, tag & 7
    if wire == 2:
        length, at = _read_varint(data, at, end)
        stop = at + length
    elif wire == 0:
        _, stop = _read_varint(data, at, end)
    elif wire == 1:
        stop = at + 8
    elif wire == 5:
        stop = at + 4
    else:
        raise FormatError(f"byte {at - 1} is not the start of a protobuf field")
    if number == 0:
        raise FormatError(f"byte {at - 1} is not the start of a protobuf field")
    if stop > end:
        raise FormatError(
            f"field {number} at byte {at} ends at byte {stop}, {stop - end} bytes past the end of what holds it",
            hint="the file is truncated or damaged",
        )
    return number, wire, at, stop


def _read_varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise FormatError(f"byte {at} lies in a number that never ends")
    raise FormatError(f"the file ends at byte {end} in the middle of a field", hint="the file is truncated or damaged")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
