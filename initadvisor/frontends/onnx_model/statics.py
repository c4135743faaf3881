"""Nodes that only make or move known tensors: constants, fills, shapes, and arithmetic on small numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from initadvisor.errors import FormatError
from initadvisor.frontends.onnx_model.exporters import Provenance
from initadvisor.frontends.onnx_model.folding import FOLD_ELEMENTS, RULES, fold
from initadvisor.frontends.onnx_model.names import Binding
from initadvisor.frontends.onnx_model.operands import is_named
from initadvisor.frontends.onnx_model.tensors import Tensor, known_tensor
from initadvisor.frontends.onnx_model.text import shown
from initadvisor.graph import Shape

if TYPE_CHECKING:
    from onnx import TensorProto

    from initadvisor.frontends.onnx_model.builder import Builder


def static(
    builder: Builder,
    output: str,
    op_type: str,
    inputs: Sequence[Binding | None],
    attrs: dict[str, Any],
    opset: int,
) -> Tensor | None:
    """What a standard operator makes of known tensors alone; None where it has to be a node."""
    if op_type == "Constant":
        return _constant(builder, output, attrs)
    if op_type == "ConstantOfShape":
        return _filled(builder, output, inputs, attrs)
    if op_type == "Identity" and isinstance(inputs[0] if inputs else None, Tensor):
        return inputs[0].renamed(output)  # type: ignore[union-attr]
    if op_type in ("Shape", "Size") and inputs:
        return _dimensions(output, op_type, builder.values.shape(inputs[0]), attrs)
    if op_type in RULES and _foldable(inputs, builder.origin):
        result = fold(op_type, [builder.values.known(b) for b in inputs], attrs, opset)
        return None if result is None else known_tensor(output, result)
    return None


def _constant(builder: Builder, name: str, attrs: dict[str, Any]) -> Tensor | None:
    value = attrs.get("value")
    if value is not None and hasattr(value, "raw_data"):
        proto: TensorProto = value
        return builder.reader.read(proto, name, "constant")
    if attrs.get("sparse_value") is not None:
        return builder.reader.read_sparse(attrs["sparse_value"], name)
    for key, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        value = attrs.get(key)
        if value is not None:
            listed = key.endswith("s")
            array = np.fromiter(value, dtype, len(value)) if listed else np.asarray(value, dtype)
            return known_tensor(name, array, "constant")
    return None


def _filled(builder: Builder, name: str, inputs: Sequence[Binding | None], attrs: dict[str, Any]) -> Tensor | None:
    shape = builder.values.known(inputs[0] if inputs else None, 64)
    if shape is None or shape.dtype.kind not in "iu" or shape.ndim != 1:
        return None
    if (shape < 0).any():
        raise FormatError(f"ConstantOfShape {shown(name)} has a negative dimension: {shape.tolist()[:8]}")
    proto = attrs.get("value")
    value = builder.reader.read(proto, f"{name} (value)", "constant") if hasattr(proto, "raw_data") else None
    array = None if value is None else value.array()
    if value is not None and (array is None or array.size != 1):
        raise FormatError(f"ConstantOfShape {shown(name)}: its value is not one number")
    fill = 0.0 if array is None else float(array.reshape(-1)[0].real)
    dtype = "float32" if value is None else value.dtype
    weight = isinstance(inputs[0], Tensor) and inputs[0].origin == "initializer"
    return Tensor(name, dtype, tuple(int(d) for d in shape), "filled", None, fill=fill, direct=weight)


def _dimensions(name: str, op_type: str, shape: Shape | None, attrs: dict[str, Any]) -> Tensor | None:
    if shape is None or any(size is None for size in shape):
        return None
    sizes = np.asarray(shape, np.int64).reshape(-1)
    if op_type == "Size":
        count = prod(int(size) for size in sizes)
        return known_tensor(name, np.asarray(count, np.int64)) if count < 1 << 63 else None
    return known_tensor(name, sizes[attrs.get("start", 0) : attrs.get("end", len(sizes))])


def _foldable(inputs: Sequence[Binding | None], origin: Provenance) -> bool:
    """Whether all are small and none is a weight: whole numbers, scalars, and what was computed from them."""
    for binding in inputs:
        if isinstance(binding, int) or (binding is not None and binding.size > FOLD_ELEMENTS):
            return False
        if binding is None or not binding.is_float or binding.origin == "derived":
            continue
        if binding.size > 1 or is_named(binding, origin):
            return False
    return any(binding is not None for binding in inputs)
