"""Attributes of ONNX nodes as plain Python values."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.errors import LimitError

if TYPE_CHECKING:
    from onnx import AttributeProto

_FLOAT, _INT, _STRING, _TENSOR, _GRAPH, _FLOATS, _INTS, _STRINGS, _TENSORS, _GRAPHS, _SPARSE = range(1, 12)

_MOST = 200
"""Attributes of one node; the operators of the standard have up to 20."""

_LISTED = 65_536
"""Elements of a list that becomes a tuple; a longer one (the trees of a forest) stays in the message."""


def attributes(protos: Sequence[AttributeProto], given: Mapping[str, Any]) -> dict[str, Any]:
    """Name to value: numbers, strings, tuples of them, and the protobuf messages of tensors and graphs.

    given: what the call of a function hands to its body, where attributes may refer to it by name.
    """
    found: dict[str, Any] = {}
    if len(protos) > _MOST:
        raise LimitError(f"a node has {len(protos):,} attributes")
    for attribute in protos:
        name = attribute.name if isinstance(attribute.name, str) else _decoded(attribute.name)
        if attribute.ref_attr_name:
            if attribute.ref_attr_name in given:
                found[name] = given[attribute.ref_attr_name]
            continue
        value = _value(attribute)
        if value is not None:
            found[name] = value
    return found


def short(value: float) -> float:
    """The shortest decimal that is stored as this 32-bit float: 1e-05, not 9.999999747378752e-06."""
    rounded = float(f"{value:.7g}")
    try:
        return rounded if struct.pack("f", rounded) == struct.pack("f", value) else value
    except OverflowError:
        return value


def _value(attribute: AttributeProto) -> Any:
    kind = attribute.type
    if kind == _INT:
        return attribute.i
    if kind == _INTS:
        return tuple(attribute.ints) if len(attribute.ints) <= _LISTED else attribute.ints
    if kind == _FLOAT:
        return short(attribute.f)
    if kind == _STRING:
        return _decoded(attribute.s)
    if kind == _FLOATS:
        return tuple(map(short, attribute.floats)) if len(attribute.floats) <= _LISTED else attribute.floats
    if kind == _STRINGS:
        return tuple(map(_decoded, attribute.strings)) if len(attribute.strings) <= _LISTED else attribute.strings
    field = {_TENSOR: "t", _GRAPH: "g", _SPARSE: "sparse_tensor"}.get(kind)
    if field is not None:
        return getattr(attribute, field)
    if kind in (_GRAPHS, _TENSORS):
        return tuple(attribute.graphs if kind == _GRAPHS else attribute.tensors)
    return _untyped(attribute) if kind == 0 else None


def _untyped(attribute: AttributeProto) -> Any:
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
