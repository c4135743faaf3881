"""Tensor sources: where the elements of a parameter lie, read as a stream of real numbers.

A source is a view: it never copies a whole tensor. Over a read-only memory map it also hands pages back to the
system once they have been read, so that a pass over a model keeps a small resident set.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np

from initadvisor.errors import FormatError, LimitError
from initadvisor.frontends.pages import Pages
from initadvisor.frontends.storage_types import StorageType, storage_type
from initadvisor.graph import TensorSource


@runtime_checkable
class DivisibleSource(TensorSource, Protocol):
    """A source that can be read from the middle: what threads and samples need."""

    def part(self, start: int, stop: int) -> TensorSource:
        """The elements [start, stop) in C order as a flat source of their own."""
        ...


class ArraySource:
    """The elements of a numpy array, decoded chunk by chunk.

    storage: the stored elements, flat or shaped, in any memory layout; a flat `uint8` or `uint16` array of codes for
        types that numpy does not know; bytes with several elements each for types below 8 bits.
    dtype: the storage type's name; taken from the array where None.
    shape: taken from the array where None. Raises LimitError where the array holds another number of elements.
    """

    __slots__ = ("_array", "_first", "_foreign", "_type", "dtype", "shape")

    def __init__(
        self, storage: np.ndarray, dtype: str | None = None, shape: tuple[int, ...] | None = None, *, first: int = 0
    ) -> None:
        array = np.asarray(storage)
        self.dtype = dtype or array.dtype.name
        self.shape = tuple(int(d) for d in (array.shape if shape is None else shape))
        self._type: StorageType = storage_type(self.dtype)
        self._first = first
        count = prod(self.shape)
        # Extension types (ml_dtypes) below 8 bits take a whole byte an element; their casts know how to read them.
        self._foreign = array.dtype.isbuiltin == 2 and (self._type.packed or array.itemsize * 8 != self._type.bits)
        if not self._foreign:
            array = _as_storage(array, self._type)
        self._array = array
        packed = self._type.packed and not self._foreign
        held = array.size * (8 // self._type.bits) - first if packed else array.size
        exact = held - count < 8 // self._type.bits if packed else held == count
        if any(d < 0 for d in self.shape) or held < count or not exact:
            raise LimitError(f"a tensor of shape {list(self.shape)} ({self.dtype}) does not fit {held} stored elements")

    def chunks(self, elements: int) -> Iterator[np.ndarray]:
        """Yield the elements in C order as flat float32 (float64 for wider types) arrays of `elements` each."""
        if self._foreign:
            flat = self._array.reshape(-1)
            for start in range(0, flat.size, elements):
                yield flat[start : start + elements].astype(np.float32)
        elif self._type.packed:
            yield from self._unpacked(elements)
        elif self._array.flags.c_contiguous:
            flat, decode, pages = self._array.reshape(-1), self._type.decode, Pages.of(self._array)
            # Embedded weights start at any byte of a file; numpy is up to 15 times slower on such views than on a copy.
            aligned = flat.flags.aligned
            for start in range(0, flat.size, elements):
                piece = flat[start : start + elements]
                yield decode(piece if aligned else piece.copy())
                if pages is not None:
                    pages.done(piece)
        else:
            for start in range(0, self._array.size, elements):
                # A flat iterator copies one chunk at a time from any memory layout.
                yield self._type.decode(self._array.flat[start : start + elements])

    def raw(self) -> np.ndarray | None:
        """The stored elements as a flat read-only view, or None where they are packed or not contiguous."""
        if self._foreign or self._type.packed or not self._array.flags.c_contiguous:
            return None
        flat = self._array.reshape(-1)
        if flat.flags.writeable:
            flat = flat[:]
            flat.flags.writeable = False
        return flat

    def part(self, start: int, stop: int) -> TensorSource:
        """The elements [start, stop) in C order as a flat source of their own."""
        count = max(stop - start, 0)
        if self._type.packed and not self._foreign:
            per_byte = 8 // self._type.bits
            begin = self._first + start
            held = self._array[begin // per_byte : -(-(begin + count) // per_byte)]
            return ArraySource(held, self.dtype, (count,), first=begin % per_byte)
        if self._array.flags.c_contiguous:
            return ArraySource(self._array.reshape(-1)[start:stop], self.dtype, (count,))
        return ArraySource(self._array.flat[start:stop], self.dtype, (count,))

    def release(self) -> None:
        """Hand the pages of this tensor back, where they belong to a read-only memory map."""
        pages = Pages.of(self._array, least=mmap.PAGESIZE)
        if pages is not None:
            pages.release()

    def _unpacked(self, elements: int) -> Iterator[np.ndarray]:
        bits, count = self._type.bits, prod(self.shape)
        per_byte, mask = 8 // bits, (1 << bits) - 1
        shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(bits)
        for start in range(0, count, elements):
            begin, end = self._first + start, self._first + min(start + elements, count)
            held = self._array[begin // per_byte : -(-end // per_byte)]
            codes = ((held[:, None] >> shifts) & np.uint8(mask)).reshape(-1)
            skip = begin % per_byte
            yield self._type.decode(codes[skip : skip + end - begin])


class FilledSource:
    """One value everywhere, without memory behind it: a shape may be as large as it likes."""

    __slots__ = ("_type", "dtype", "shape", "value")

    def __init__(self, value: float, dtype: str, shape: tuple[int, ...]) -> None:
        self._type = storage_type(dtype)
        self.value = float(value)
        self.dtype = dtype
        self.shape = tuple(int(d) for d in shape)
        if any(d < 0 for d in self.shape):
            raise LimitError(f"a tensor of shape {list(self.shape)} cannot exist")

    def chunks(self, elements: int) -> Iterator[np.ndarray]:
        """Yield views of one filled chunk as often as the shape asks."""
        count = prod(self.shape)
        wide = self.dtype in ("float64", "int32", "int64", "uint32", "uint64", "complex128")
        chunk = np.full(min(count, elements), self.value, dtype=np.float64 if wide else np.float32)
        chunk.flags.writeable = False
        for start in range(0, count, max(elements, 1)):
            yield chunk[: count - start]

    def raw(self) -> np.ndarray | None:
        """A zero-stride view of the value, or None for a type that numpy does not know."""
        if self._type.storage.name != self._type.name and self.dtype != "bool":
            return None
        return np.broadcast_to(np.asarray(self.value).astype(self._type.name), (prod(self.shape),))

    def part(self, start: int, stop: int) -> TensorSource:
        """The elements [start, stop) as a flat source of their own."""
        return FilledSource(self.value, self.dtype, (max(stop - start, 0),))


class DequantizedSource:
    """Integers (or small floats) behind a scale and a zero point: (q - zero_point) * scale, chunk by chunk.

    quantized: the codes, a source that can be read from the middle, of the tensor's shape.
    scale, zero_point: one number, one number per index of `axis`, or, with `block_size`, an array of the tensor's
        shape whose `axis` is divided (rounding up) by the block size, as ONNX DequantizeLinear has it.
    dtype: the name of the type of the result.
    Raises FormatError where scale or zero point have another shape than that.
    """

    __slots__ = (
        "_block",
        "_blocked",
        "_inner",
        "_length",
        "_per_tensor",
        "_quantized",
        "_scale",
        "_start",
        "_zero",
        "dtype",
        "shape",
    )

    def __init__(
        self,
        quantized: DivisibleSource,
        scale: np.ndarray | float,
        zero_point: np.ndarray | float | None = None,
        *,
        axis: int | None = None,
        block_size: int | None = None,
        dtype: str = "float32",
    ) -> None:
        shape, rank = quantized.shape, len(quantized.shape)
        self.shape, self.dtype = shape, dtype
        self._quantized = quantized
        self._start = 0
        self._scale = np.asarray(scale, dtype=np.float64)
        zero = np.zeros(()) if zero_point is None else np.asarray(zero_point, dtype=np.float64)
        self._per_tensor = self._scale.size == 1
        expected: tuple[int, ...] = self._scale.shape
        self._length = self._inner = self._block = 1
        if not self._per_tensor:
            given = 1 if axis is None else axis
            at = given + rank if given < 0 else given
            if not 0 <= at < rank:
                raise FormatError(f"quantization axis {given} is outside a tensor of shape {list(shape)}")
            self._length, self._inner = shape[at], prod(shape[at + 1 :])
            expected = (self._length,)
            if block_size and self._scale.ndim == rank:
                self._block = block_size
                expected = (*shape[:at], -(-self._length // block_size), *shape[at + 1 :])
        self._blocked = not self._per_tensor and self._scale.ndim == rank and bool(block_size)
        if self._scale.shape != expected or (zero.size != 1 and zero.shape != expected):
            raise FormatError(
                f"quantized tensor of shape {list(shape)}: scale {list(self._scale.shape)} and zero point "
                f"{list(zero.shape)} do not match the expected {list(expected)}"
            )
        kind = np.float64 if dtype == "float64" else np.float32
        self._scale, self._zero = self._scale.reshape(-1).astype(kind), zero.reshape(-1).astype(kind)

    def chunks(self, elements: int) -> Iterator[np.ndarray]:
        """Yield the dequantised elements in C order, in float32 (float64 for a float64 result)."""
        start = self._start
        for codes in self._quantized.chunks(elements):
            real = codes.astype(self._scale.dtype)
            lines, where = self._lines(start, codes.size)
            real = real.reshape(lines)
            real -= self._zero[where] if self._zero.size > 1 else self._zero[0]
            real *= self._scale[where]
            start += codes.size
            yield real.reshape(-1)

    def raw(self) -> np.ndarray | None:
        """None: there is no stored view of the dequantised elements."""
        return None

    def part(self, start: int, stop: int) -> TensorSource:
        """The elements [start, stop) in C order as a flat source of their own."""
        twin = object.__new__(DequantizedSource)
        for name in DequantizedSource.__slots__:
            setattr(twin, name, getattr(self, name))
        twin._quantized = self._quantized.part(start, stop)  # type: ignore[assignment]
        twin.shape, twin._start = (max(stop - start, 0),), self._start + start
        return twin

    def release(self) -> None:
        """Hand the pages of the codes back, where they belong to a read-only memory map."""
        release(self._quantized)

    def _lines(self, start: int, count: int) -> tuple[tuple[int, int], np.ndarray | int]:
        """How to fold elements [start, start + count), and the index of their scales that fits the fold.

        Whole lines share their scale or their table of scales, which is far cheaper than an index an element.
        """
        length, inner, block = self._length, self._inner, self._block
        if self._per_tensor:
            return (1, count), 0
        blocks = -(-length // block)
        if inner == 1 and self._blocked and not length % block and not start % block and not count % block:
            held = np.arange(start // block, (start + count) // block)
            return (count // block, block), held[:, None]
        if inner == 1 and not self._blocked and not start % length and not count % length:
            return (count // length, length), np.arange(length)[None, :]
        if inner > 1 and not start % inner and not count % inner:
            outer, along = np.divmod(np.arange(start // inner, (start + count) // inner), length)
            if not self._blocked:
                return (count // inner, inner), along[:, None]
            return (count // inner, inner), ((outer * blocks + along // block) * inner)[:, None] + np.arange(inner)
        position: np.ndarray = np.arange(start, start + count)
        line, column = np.divmod(position, inner)
        outer, along = np.divmod(line, length)
        where = (outer * blocks + along // block) * inner + column if self._blocked else along
        return (1, count), where[None, :]


def release(source: TensorSource) -> None:
    """Hand the memory that reading `source` mapped back to the system, where it is of a kind that can be."""
    method = getattr(source, "release", None)
    if method is not None:
        method()


def _as_storage(array: np.ndarray, kind: StorageType) -> np.ndarray:
    """The array under the numpy type that `kind` is stored in, without copying."""
    if array.dtype == kind.storage or (array.dtype.name == kind.name and array.dtype.isbuiltin != 2):
        return array.view(np.uint8) if array.dtype == np.bool_ else array
    if array.dtype.itemsize == kind.storage.itemsize and (array.dtype.isbuiltin == 2 or array.dtype.kind in "uifb"):
        return array.view(kind.storage)
    if array.dtype == np.uint8 and array.ndim == 1 and array.flags.c_contiguous and not kind.packed:
        if array.size % kind.storage.itemsize:
            raise FormatError(f"{array.size} bytes are no whole number of {kind.name} elements")
        return array.view(kind.storage)
    raise FormatError(f"an array of {array.dtype.name} cannot hold {kind.name} elements")
