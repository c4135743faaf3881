"""The tensors that an ONNX message stores, by name, wherever it stores them, and how to give them new elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_TYPED = ("float_data", "int32_data", "double_data", "int64_data", "uint64_data", "string_data")
_TENSOR_ATTRIBUTE = 4
_ONNX_TYPES = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}


@dataclass(slots=True)
class Stored:
    """A tensor of the file: an initializer, a Constant node's value, or the fill of a ConstantOfShape node.

    proto is None for a fill, whose elements become a Constant node's when they are written.
    """

    name: str
    proto: TensorProto | None
    node: NodeProto | None = None

    @property
    def external(self) -> bool:
        """Whether the elements lie in a file beside the model."""
        return self.proto is not None and self.proto.data_location == 1

    def external_entries(self) -> dict[str, str]:
        """location, offset and length of external data."""
        return {e.key: e.value for e in self.proto.external_data} if self.proto is not None else {}


def stored_tensors(model: ModelProto) -> dict[str, Stored]:
    """Every tensor that holds elements, by name; the outermost where subgraphs repeat a name."""
    found: dict[str, Stored] = {}
    for graph in _graphs(model.graph):
        for tensor in graph.initializer:
            found.setdefault(tensor.name, Stored(tensor.name, tensor))
        for node in graph.node:
            if node.op_type == "Constant" and node.output:
                for attribute in node.attribute:
                    if attribute.name == "value" and attribute.HasField("t"):
                        found.setdefault(node.output[0], Stored(node.output[0], attribute.t, node))
            elif node.op_type == "ConstantOfShape" and node.output:
                found.setdefault(node.output[0], Stored(node.output[0], None, node))
    return found


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and all graphs in its nodes' attributes."""
    waiting = [graph]
    while waiting:
        one = waiting.pop()
        yield one
        for node in one.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    waiting.append(attribute.g)
                waiting.extend(attribute.graphs)


def dtype_of(tensor: TensorProto) -> str:
    """The storage type's name; raises UsageError for one that no weight can be written in."""
    try:
        return _ONNX_TYPES[tensor.data_type]
    except KeyError:
        raise UsageError(
            f"tensor {tensor.name!r} of ONNX type {tensor.data_type} cannot be drawn",
            hint="float32, float16, bfloat16 and float64 can",
        ) from None


def encode(values: np.ndarray, dtype: str) -> np.ndarray:
    """Real numbers as the bytes of a storage type, rounded to nearest even."""
    if dtype == "bfloat16":
        bits = values.astype(np.float32).view(np.uint32)
        rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        return rounded.astype("<u2").view(np.uint8)
    return np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<")).view(np.uint8)


def elements(stored: Stored) -> np.ndarray:
    """The elements of an embedded tensor as a flat, writable array of bytes."""
    from onnx import numpy_helper

    assert stored.proto is not None
    if stored.proto.HasField("raw_data"):
        return np.frombuffer(bytearray(stored.proto.raw_data), np.uint8)
    array: Any = numpy_helper.to_array(stored.proto)
    return np.frombuffer(bytearray(np.ascontiguousarray(array).tobytes()), np.uint8)


def put(stored: Stored, data: np.ndarray, dims: tuple[int, ...], data_type: int) -> None:
    """Give a tensor its new bytes; a node that only fills becomes a Constant node, which every IR version allows."""
    if stored.proto is None:
        assert stored.node is not None
        stored.node.op_type = "Constant"
        stored.node.ClearField("input")
        stored.node.ClearField("attribute")
        value = stored.node.attribute.add(name="value", type=_TENSOR_ATTRIBUTE)
        value.t.dims.extend(dims)
        value.t.data_type = data_type
        stored.proto = value.t
    for field in _TYPED:
        stored.proto.ClearField(field)
    if prod(stored.proto.dims) * dtype_size(stored.proto.data_type) != data.size:
        raise UsageError(f"{data.size} bytes do not fill tensor {stored.name!r} of shape {tuple(stored.proto.dims)}")
    stored.proto.raw_data = data.tobytes()


def dtype_size(data_type: int) -> int:
    """Bytes an element."""
    return {"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8}[_ONNX_TYPES[data_type]]
