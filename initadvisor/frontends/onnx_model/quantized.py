"""Quantized weights as the real numbers they stand for: (q - zero_point) * scale, computed while streaming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from initadvisor.frontends.onnx_model.tensors import CONSTANT_ELEMENTS, Tensor
from initadvisor.frontends.onnx_model.text import text
from initadvisor.frontends.sources import ArraySource, DequantizedSource
from initadvisor.ops import ONNX

if TYPE_CHECKING:
    from onnx import NodeProto

    from initadvisor.frontends.onnx_model.builder import Builder
    from initadvisor.frontends.onnx_model.names import Binding, Names

_SUFFIXES = ("_quantized", "_DequantizeLinear_Output", ".quantized")


def dequantize(
    builder: Builder, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names
) -> bool:
    """DequantizeLinear of a stored tensor is a weight; False where a value that flows is dequantized."""
    data, scale, zero = (*inputs, None, None, None)[:3]
    if isinstance(data, Tensor) and data.is_float and len(proto.output) == 1:
        names.bind(text(proto.output[0]), data)
        return True
    made = real(data, scale, zero, int(attrs.get("axis", 1)), int(attrs.get("block_size", 0)))
    if made is None or len(proto.output) != 1:
        return False
    names.bind(text(proto.output[0]), made)
    return True


def quantize(
    builder: Builder, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names
) -> bool:
    """QuantizeLinear of a stored real tensor is that tensor, up to rounding: its DequantizeLinear undoes it."""
    data = inputs[0] if inputs else None
    if not isinstance(data, Tensor) or not data.is_float or data.size <= 1 or len(proto.output) != 1:
        return False
    names.bind(text(proto.output[0]), data)
    return True


def convolution(
    builder: Builder, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names
) -> bool:
    """QLinearConv as a convolution with real weights."""
    given = [*inputs, *[None] * (9 - len(inputs))]
    weight = real(given[3], given[4], given[5], 0, 0)
    if weight is None:
        return False
    bias = real_bias(given[8], given[1], given[4])
    builder.plain(proto, "QLinearConv", 10, [given[0], weight, bias], attrs, names, _as("Conv", "QLinearConv"))
    return True


def product(
    builder: Builder, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names
) -> bool:
    """QLinearMatMul as a matrix product with real weights."""
    given = [*inputs, *[None] * (8 - len(inputs))]
    right = given[3]
    axis = len(right.shape) - 1 if isinstance(right, Tensor) else 0
    weight = real(right, given[4], given[5], axis, 0)
    if weight is None:
        return False
    builder.plain(proto, "QLinearMatMul", 10, [given[0], weight], attrs, names, _as("MatMul", "QLinearMatMul"))
    return True


def real_bias(bias: Binding | None, input_scale: Binding | None, weight_scale: Binding | None) -> Tensor | None:
    """A bias in units of input scale times weight scale; None where it is absent or cannot be read."""
    scale = _product(input_scale, weight_scale)
    return _scaled(bias, scale, None, 0, 0) if isinstance(bias, Tensor) and scale is not None else None


def _as(spelling: str, native: str) -> Any:
    entry = ONNX[spelling]
    return replace(entry, onnx={native: entry.onnx[spelling]})


def real(data: Binding | None, scale: Binding | None, zero: Binding | None, axis: int, block: int) -> Tensor | None:
    """A stored tensor of codes with its scale and zero point; None where any of them flows or is too odd to read."""
    if not isinstance(data, Tensor) or not isinstance(scale, Tensor) or isinstance(zero, int):
        return None
    scales, zeros = everything(scale), None if zero is None else everything(zero)
    return None if scales is None else _scaled(data, scales, zeros, axis, block, scale.dtype)


def _scaled(
    data: Tensor, scale: np.ndarray, zero: np.ndarray | None, axis: int, block: int, dtype: str = "float32"
) -> Tensor | None:
    codes = data.source()
    if not isinstance(codes, ArraySource):
        return None
    flat = scale.reshape(-1) if scale.size == 1 or scale.ndim <= 1 else scale
    kept = dtype if dtype in ("float32", "float64", "float16", "bfloat16") else "float32"
    made = DequantizedSource(codes, flat, zero, axis=axis, block_size=block or None, dtype=kept)
    name = data.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return Tensor(name, kept, data.shape, "initializer", None, made=made, root=data.storage)


def _product(left: Binding | None, right: Binding | None) -> np.ndarray | None:
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return None
    first, second = left.array(), right.array()
    if first is None or second is None or first.size != 1:
        return None
    return np.asarray(first.reshape(-1)[0] * second.reshape(-1))


def everything(tensor: Tensor) -> np.ndarray | None:
    """All elements of a table of scales or zero points as numbers; None where there are too many."""
    if tensor.size <= CONSTANT_ELEMENTS:
        return tensor.array()
    source = tensor.source()
    if source is None or tensor.size > 1 << 26:
        return None
    chunks = [chunk.copy() for chunk in source.chunks(1 << 16)]
    return np.concatenate(chunks).reshape(tensor.shape) if chunks else None
