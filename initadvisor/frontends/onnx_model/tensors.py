"""ONNX tensors: checked against their declared shape when met, read only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from initadvisor.errors import FormatError, LimitError
from initadvisor.frontends.onnx_model import varints
from initadvisor.frontends.onnx_model.external import ExternalFiles
from initadvisor.frontends.onnx_model.text import shown, text
from initadvisor.frontends.onnx_model.wire import Payloads
from initadvisor.frontends.sources import ArraySource, FilledSource
from initadvisor.frontends.storage_types import STORAGE_TYPES
from initadvisor.graph import TensorSource

if TYPE_CHECKING:
    from onnx import SparseTensorProto, TensorProto

DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8_e4m3fn",
    18: "float8_e4m3fnuz",
    19: "float8_e5m2",
    20: "float8_e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4_e2m1fn",
    24: "float8_e8m0fnu",
    25: "uint2",
    26: "int2",
    27: "float6_e2m3",
    28: "float6_e3m2",
}
"""TensorProto.DataType to the storage type's name."""

CONSTANT_ELEMENTS = 65_536
"""Constants up to this many elements are kept as arrays on the graph."""

_CHUNK = 1 << 16
_RANK_LIMIT = 64
_DENSE_LIMIT = 1 << 28
"""Elements of a sparse tensor that is laid out densely (1 GiB of float32)."""

_TYPED_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
_FIELD_OF = {
    "float32": "float_data",
    "complex64": "float_data",
    "float64": "double_data",
    "complex128": "double_data",
    "int64": "int64_data",
    "uint32": "uint64_data",
    "uint64": "uint64_data",
    "string": "string_data",
}
_VARINTS = frozenset({"int32_data", "int64_data", "uint64_data"})


@dataclass(frozen=True, slots=True)
class Piece:
    """The elements [start, stop) of a stored tensor in C order."""

    tensor: Tensor
    start: int
    stop: int


@dataclass(slots=True, eq=False)
class Tensor:
    """A tensor whose elements are known before the model runs: a weight or a constant, undecided as yet.

    origin: "initializer", "constant" (a Constant node), "filled" (ConstantOfShape; `fill` is the value) or "derived"
        (computed from constants while reading).
    stored: gives the elements as they are stored, flat; None where they cannot be read.
    root: the tensor that this one is another name of; direct: a filled tensor whose shape is itself stored.
    pieces: the parts of stored tensors that this one is made of, where it is not stored in one.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    origin: Literal["initializer", "constant", "filled", "derived"]
    stored: Callable[[], np.ndarray] | None
    fill: float | None = None
    made: TensorSource | None = None
    known: np.ndarray | None = None
    root: Tensor | None = None
    direct: bool = False
    pieces: tuple[Piece, ...] | None = None

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether the elements are real numbers stored as floats."""
        return self.dtype.startswith(("float", "bfloat"))

    @property
    def storage(self) -> Tensor:
        """The tensor that holds the elements: itself, or the one that it renames."""
        return self.root if self.root is not None else self

    def renamed(self, name: str) -> Tensor:
        """The same elements under another name."""
        return replace(self, name=name, root=self.storage)

    def source(self) -> TensorSource | None:
        """The elements as a stream, made at the first call."""
        if self.made is None:
            if self.fill is not None:
                self.made = FilledSource(self.fill, self.dtype, self.shape)
            elif self.stored is not None and self.dtype in STORAGE_TYPES:
                self.made = ArraySource(self.stored(), self.dtype, self.shape)
        return self.made

    def array(self) -> np.ndarray | None:
        """The elements as an array of the tensor's shape where there are at most `CONSTANT_ELEMENTS`, else None."""
        if self.known is None and self.size <= CONSTANT_ELEMENTS and self.dtype in STORAGE_TYPES:
            kind = STORAGE_TYPES[self.dtype]
            if self.fill is None and self.stored is not None and kind.storage.name == self.dtype:
                self.known = self.stored().view(kind.storage).reshape(self.shape)
            else:
                source = self.source()
                chunks = list(source.chunks(CONSTANT_ELEMENTS)) if source is not None else []
                flat = np.concatenate(chunks) if chunks else np.zeros(self.size, np.float32)
                exact = {"bool": np.bool_}.get(self.dtype) or (None if self.is_float else _integer(self.dtype))
                self.known = (flat.astype(exact) if exact else flat).reshape(self.shape)
        return self.known


def known_tensor(name: str, array: np.ndarray) -> Tensor:
    """A tensor computed while reading."""
    dtype = array.dtype.name
    return Tensor(name, dtype, array.shape, "derived", lambda: np.ascontiguousarray(array).reshape(-1), known=array)


def uniform(tensor: Tensor) -> bool:
    """Whether all elements are one number: nobody can tell such tensors apart, so they are no sign of tying."""
    if tensor.fill is not None:
        return True
    source = tensor.source()
    if source is None or tensor.size == 0:
        return False
    first: float | None = None
    for chunk in source.chunks(_CHUNK):
        first = float(chunk[0]) if first is None else first
        if not np.all(chunk == first):
            return False
    return True


class TensorReader:
    """Reads TensorProtos of one model: from the message, from the file it left them in, or from files beside it."""

    def __init__(self, payloads: Payloads, data: np.ndarray, external: ExternalFiles) -> None:
        self._payloads = payloads
        self._data = data
        self._external = external

    def read(self, proto: TensorProto, name: str, origin: Literal["initializer", "constant"]) -> Tensor:
        """One tensor, its declared size held against what is there.

        Raises FormatError (a type or a shape that cannot be, data given twice), LimitError (less data than declared)
        and what `ExternalFiles.slice` raises.
        """
        dtype = _dtype(proto.data_type, name)
        shape = _shape(proto.dims, name)
        held = [field for field in _TYPED_FIELDS if len(getattr(proto, field))]
        raw = proto.HasField("raw_data")
        if proto.HasField("segment"):
            raise FormatError(f"tensor {shown(name)} is split into segments, which no release of onnx reads")
        if len(held) + raw + (proto.data_location == 1) > 1:
            places = [*held, *(["raw_data"] if raw else []), *(["external_data"] if proto.data_location == 1 else [])]
            raise FormatError(f"tensor {shown(name)} holds its elements more than once: {', '.join(places)}")
        if dtype == "string":
            return Tensor(name, dtype, shape, origin, None)
        nbytes = _nbytes(dtype, prod(shape))
        if proto.data_location == 1:
            entries = {text(e.key): text(e.value) for e in proto.external_data}
            view = self._external.slice(name, entries, nbytes)
            return Tensor(name, dtype, shape, origin, lambda: view)
        payload = self._payloads.find(proto.raw_data) if raw else None
        if payload is not None:
            view = self._data[payload.offset : payload.offset + payload.length]
            return _left_in_file(name, dtype, shape, origin, payload.field, view)
        if raw:
            _expect(name, dtype, shape, len(proto.raw_data), nbytes)
            return Tensor(name, dtype, shape, origin, lambda: np.frombuffer(proto.raw_data, np.uint8))
        _check_field(name, dtype, held[0] if held else None)
        stored = _typed(np.asarray(getattr(proto, _FIELD_OF.get(dtype, "int32_data"))), dtype)
        _expect(name, dtype, shape, stored.nbytes, nbytes)
        return Tensor(name, dtype, shape, origin, lambda: stored)

    def read_sparse(self, proto: SparseTensorProto, name: str) -> Tensor:
        """A sparse tensor laid out densely; raises LimitError where that would be too large."""
        values = self.read(proto.values, name, "initializer")
        indices = self.read(proto.indices, f"{name} (indices)", "initializer")
        shape = _shape(proto.dims, name)
        count = prod(shape)
        if count > _DENSE_LIMIT:
            raise LimitError(
                f"sparse tensor {shown(name)} of shape {list(shape)} has {values.size:,} elements in {count:,} places",
                hint=f"at most {_DENSE_LIMIT:,} places are laid out",
            )
        kind = STORAGE_TYPES.get(values.dtype)
        if kind is None or kind.packed or values.stored is None or indices.stored is None:
            raise FormatError(f"sparse tensor {shown(name)} holds {values.dtype}, which cannot be laid out")
        where = indices.stored().view("<i8") if indices.dtype == "int64" else np.empty(0, "<i8")
        if indices.shape == (values.size, len(shape)) and shape:
            where = _flat_indices(where.reshape(indices.shape), shape, name)
        if where.size != values.size or ((where < 0) | (where >= count)).any():
            raise FormatError(
                f"sparse tensor {shown(name)}: its indices do not match its {values.size} values and shape"
            )

        def dense() -> np.ndarray:
            laid = np.zeros(count, kind.storage)
            laid[where] = values.stored().view(kind.storage)  # type: ignore[misc]
            return laid

        return Tensor(name, values.dtype, shape, "initializer", dense)


def _left_in_file(
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    origin: Literal["initializer", "constant"],
    field: str,
    view: np.ndarray,
) -> Tensor:
    """A tensor whose elements the scan left in the file: raw or typed, the integers packed."""
    nbytes = _nbytes(dtype, prod(shape))
    if field != "raw_data":
        _check_field(name, dtype, field)
    if field not in _VARINTS:
        _expect(name, dtype, shape, view.size, nbytes)
        return Tensor(name, dtype, shape, origin, lambda: view)
    kind = STORAGE_TYPES.get(dtype)
    storage = kind.storage if kind is not None else np.dtype(np.uint8)
    if storage.kind == "f":  # codes of half floats
        storage = np.dtype(f"<u{storage.itemsize}")
    _expect(name, dtype, shape, varints.count(view) * storage.itemsize, nbytes)
    return Tensor(name, dtype, shape, origin, lambda: varints.decode(view, storage).view(np.uint8))


def _check_field(name: str, dtype: str, field: str | None) -> None:
    if field is not None and field != _FIELD_OF.get(dtype, "int32_data"):
        raise FormatError(f"tensor {shown(name)} of {dtype} holds its elements in {field}")


def _flat_indices(where: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    flat = np.zeros(len(where), np.int64)
    for axis, size in enumerate(shape):
        if ((where[:, axis] < 0) | (where[:, axis] >= size)).any():
            raise FormatError(f"sparse tensor {shown(name)} has an index outside its shape {list(shape)}")
        flat = flat * size + where[:, axis]
    return flat


def _dtype(code: int, name: str) -> str:
    if code not in DTYPES:
        raise FormatError(f"tensor {shown(name)} has type {code}, which ONNX does not define")
    return DTYPES[code]


def _shape(dims: object, name: str) -> tuple[int, ...]:
    shape = tuple(int(d) for d in dims)  # type: ignore[attr-defined]
    if any(d < 0 for d in shape):
        raise FormatError(f"tensor {shown(name)} has a negative dimension: {list(shape[:8])}")
    if len(shape) > _RANK_LIMIT:
        raise LimitError(f"tensor {shown(name)} has {len(shape)} dimensions; at most {_RANK_LIMIT} are read")
    return shape


def _nbytes(dtype: str, count: int) -> int:
    if dtype in STORAGE_TYPES:
        return STORAGE_TYPES[dtype].nbytes(count)
    return (count * 6 + 7) // 8  # the 6-bit floats, which nothing here reads yet


def _expect(name: str, dtype: str, shape: tuple[int, ...], held: int, needed: int) -> None:
    if held != needed:
        sizes = ", ".join(map(str, shape[:8])) + (", ..." if len(shape) > 8 else "")
        size = f"{needed:,}" if needed < 1 << 63 else "more than 8 exa"
        raise LimitError(
            f"tensor {shown(name)} is declared as {dtype}[{sizes}], which takes {size} bytes; the file holds {held:,}",
            hint="the file is damaged, or its weights were stripped",
        )


def _typed(values: np.ndarray, dtype: str) -> np.ndarray:
    """Elements of a typed field as stored bytes: narrow types sit in wider integers, codes of half floats as well."""
    kind = STORAGE_TYPES.get(dtype)
    if kind is None:
        return values.astype(np.uint8)
    if dtype.startswith("complex"):
        return values.astype("<f4" if dtype == "complex64" else "<f8").view(np.uint8)
    if dtype == "float16":
        return values.astype(np.int64).astype("<u2").view(np.uint8)
    if kind.storage.kind in "iu" and values.size:
        return values.astype(np.int64 if dtype != "uint64" else np.uint64).astype(kind.storage).view(np.uint8)
    return values.astype(kind.storage).view(np.uint8)


def _integer(dtype: str) -> np.dtype:
    storage = STORAGE_TYPES[dtype].storage
    return storage if storage.kind in "iu" and storage.name == dtype else np.dtype(np.int64)
