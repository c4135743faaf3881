"""Reading TensorProtos: the declared type and shape are held against what is stored before anything is made of it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from initadvisor.errors import FormatError, LimitError
from initadvisor.frontends.onnx_model import varints
from initadvisor.frontends.onnx_model.external import ExternalFiles
from initadvisor.frontends.onnx_model.tensors import DTYPES, Tensor
from initadvisor.frontends.onnx_model.text import shown, text
from initadvisor.frontends.onnx_model.wire import Payloads
from initadvisor.frontends.storage_types import STORAGE_TYPES

if TYPE_CHECKING:
    from onnx import SparseTensorProto, TensorProto

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
