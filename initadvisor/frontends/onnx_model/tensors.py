"""ONNX tensors: checked against their declared shape when met, read only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from initadvisor.frontends.sources import ArraySource, FilledSource
from initadvisor.frontends.storage_types import STORAGE_TYPES
from initadvisor.graph import TensorSource

if TYPE_CHECKING:
    pass

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


def known_tensor(name: str, array: np.ndarray, origin: Literal["constant", "derived"] = "derived") -> Tensor:
    """A tensor computed while reading, or spelled out in an attribute."""
    dtype = array.dtype.name
    return Tensor(name, dtype, array.shape, origin, lambda: np.ascontiguousarray(array).reshape(-1), known=array)


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


def _integer(dtype: str) -> np.dtype:
    storage = STORAGE_TYPES[dtype].storage
    return storage if storage.kind in "iu" and storage.name == dtype else np.dtype(np.int64)
