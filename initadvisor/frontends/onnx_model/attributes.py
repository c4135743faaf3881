"""Attributes of ONNX nodes as plain Python values."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import NodeProto

_FLOAT, _INT, _STRING, _TENSOR, _GRAPH, _FLOATS, _INTS, _STRINGS, _TENSORS, _GRAPHS, _SPARSE = range(1, 12)


def attributes(node: NodeProto) -> dict[str, Any]:
    """Name to value: numbers, strings, tuples of them, and the protobuf messages of tensors and graphs."""
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        kind = attribute.type
        value: Any
        if kind == _INT:
            value = attribute.i
        elif kind == _INTS:
            value = tuple(attribute.ints)
        elif kind == _FLOAT:
            value = short(attribute.f)
        elif kind == _STRING:
            value = _decoded(attribute.s)
        elif kind == _FLOATS:
            value = tuple(map(short, attribute.floats))
        elif kind == _STRINGS:
            value = tuple(map(_decoded, attribute.strings))
        elif kind == _TENSOR:
            value = attribute.t
        elif kind == _GRAPH:
            value = attribute.g
        elif kind == _GRAPHS:
            value = tuple(attribute.graphs)
        elif kind == _TENSORS:
            value = tuple(attribute.tensors)
        elif kind == _SPARSE:
            value = attribute.sparse_tensor
        elif kind == 0:
            value = _untyped(attribute)
        else:
            continue
        found[attribute.name if isinstance(attribute.name, str) else _decoded(attribute.name)] = value
    return found


def short(value: float) -> float:
    """The shortest decimal that is stored as this 32-bit float: 1e-05, not 9.999999747378752e-06."""
    rounded = float(f"{value:.7g}")
    try:
        return rounded if struct.pack("f", rounded) == struct.pack("f", value) else value
    except OverflowError:
        return value


def _untyped(attribute: Any) -> Any:
    """The value of an attribute of IR version 1, which had no type field."""
    for field in ("i", "f", "t", "g"):
        if attribute.HasField(field):
            return getattr(attribute, field)
    if attribute.HasField("s"):
        return _decoded(attribute.s)
    for field in ("ints", "floats", "graphs", "tensors"):
        if len(getattr(attribute, field)):
            return tuple(getattr(attribute, field))
    return tuple(map(_decoded, attribute.strings))


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")
