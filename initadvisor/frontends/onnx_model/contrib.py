"""Operators that onnxruntime fuses when it saves an optimised graph, taken apart again into the ones they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from initadvisor.frontends.onnx_model import quantized
from initadvisor.frontends.onnx_model.tensors import Tensor, known_tensor
from initadvisor.frontends.onnx_model.text import text
from initadvisor.frontends.sources import ArraySource, DequantizedSource
from initadvisor.ops import ONNX, OPERATORS

if TYPE_CHECKING:
    from onnx import NodeProto

    from initadvisor.frontends.onnx_model.builder import Builder
    from initadvisor.frontends.onnx_model.names import Binding, Names

Inputs = Sequence["Binding | None"]


def fused_convolution(builder: Builder, proto: NodeProto, inputs: Inputs, attrs: dict[str, Any], names: Names) -> bool:
    """FusedConv: convolution, a summand, an activation."""
    entry = ONNX["Conv"]
    between = builder.values.between(proto, "convolution")
    parts = {k: v for k, v in attrs.items() if not k.startswith("activation")}
    builder.plain(proto, "Conv", builder.opsets[""], inputs[:3], parts, names, entry, [between])
    value: int = between
    if len(inputs) > 3 and inputs[3] is not None:
        value = builder.step(proto, "add", [("input", value), ("other", inputs[3])], {}, names)
    return _activated(builder, proto, value, attrs, names)


def fused_product(builder: Builder, proto: NodeProto, inputs: Inputs, attrs: dict[str, Any], names: Names) -> bool:
    """FusedMatMul: transposes, product, factor."""
    sides: list[Binding | None] = []
    for side, binding in zip("AB", inputs, strict=False):
        shape = builder.values.shape(binding)
        order = None if shape is None else list(range(len(shape)))
        if order is not None and attrs.get(f"transBatch{side}"):
            order = [*order[1:-1], order[0], order[-1]]
        if order is not None and len(order) > 1 and attrs.get(f"trans{side}"):
            order[-2:] = order[:-3:-1]
        if order is not None and order != sorted(order):
            binding = builder.step(proto, "permute", [("input", binding)], {"dims": tuple(order)}, names)
        sides.append(binding)
    slots: list[tuple[str, Binding | None]] = list(zip(("left", "right"), sides, strict=False))
    alpha = float(attrs.get("alpha", 1.0))
    if alpha == 1.0:
        builder.emit(proto, "matmul", "FusedMatMul", slots, {}, names, OPERATORS["matmul"])
        return True
    value = builder.step(proto, "matmul", slots, {}, names)
    factor = known_tensor(f"{text(proto.output[0])} (alpha)", np.asarray(alpha, np.float32))
    found: list[tuple[str, Binding | None]] = [("input", value), ("other", factor)]
    builder.emit(proto, "mul", "FusedMatMul", found, {}, names, OPERATORS["mul"])
    return True


def fused_gemm(builder: Builder, proto: NodeProto, inputs: Inputs, attrs: dict[str, Any], names: Names) -> bool:
    """FusedGemm: Gemm and an activation."""
    between = builder.values.between(proto, "gemm")
    parts = {k: v for k, v in attrs.items() if not k.startswith("activation")}
    builder.plain(proto, "Gemm", builder.opsets[""], inputs, parts, names, ONNX["Gemm"], [between])
    return _activated(builder, proto, between, attrs, names)


def biased_gelu(builder: Builder, proto: NodeProto, inputs: Inputs, attrs: dict[str, Any], names: Names) -> bool:
    """BiasGelu, and FastGelu with a bias: a sum and GELU."""
    if len(inputs) < 2 or inputs[1] is None:
        return False
    value = builder.step(proto, "add", [("input", inputs[0]), ("other", inputs[1])], {}, names)
    form = {"approximate": "tanh" if text(proto.op_type) == "FastGelu" else "none"}
    builder.emit(proto, "gelu", text(proto.op_type), [("input", value)], form, names, OPERATORS["gelu"])
    return True


def quantized_gemm(builder: Builder, proto: NodeProto, inputs: Inputs, attrs: dict[str, Any], names: Names) -> bool:
    """QGemm: Gemm with real weights."""
    given = [*inputs, *[None] * (9 - len(inputs))]
    axis = 0 if attrs.get("transB") else 1
    weight = quantized.real(given[3], given[4], given[5], axis, 0)
    if weight is None:
        return False
    bias = quantized.real_bias(given[6], given[1], given[4])
    builder.plain(proto, "Gemm", builder.opsets[""], [given[0], weight, bias], attrs, names, ONNX["Gemm"])
    return True


def blockwise_product(builder: Builder, proto: NodeProto, inputs: Inputs, attrs: dict[str, Any], names: Names) -> bool:
    """MatMulNBits: a linear layer whose (out, in) weight is stored in blocks of 2, 4 or 8-bit codes."""
    given = [*inputs, *[None] * (6 - len(inputs))]
    codes, scale, zero = given[1:4]
    width, rows = int(attrs.get("K", 0)), int(attrs.get("N", 0))
    bits, block = int(attrs.get("bits", 4)), int(attrs.get("block_size", 0))
    if not isinstance(codes, Tensor) or not isinstance(scale, Tensor) or isinstance(zero, int) or codes.stored is None:
        return False
    if bits not in (2, 4, 8) or block <= 0 or width <= 0 or width % block or codes.size * 8 != rows * width * bits:
        return False
    scales = quantized.everything(scale)
    if scales is None or scales.size * block != rows * width:
        return False
    shape = (rows, width // block)
    zeros: np.ndarray | float = float(1 << (bits - 1))
    if zero is not None:
        packed = quantized.everything(zero)
        found = None if packed is None else _zero_points(packed, zero.is_float, bits, shape)
        if found is None:
            return False
        zeros = found
    kind = f"uint{bits}"
    source = ArraySource(codes.stored(), kind, (rows, width))
    made = DequantizedSource(source, scales.reshape(shape), zeros, axis=1, block_size=block)
    name = codes.name
    for suffix in ("_Q4", "_quant", ".qweight", "_quantized"):
        name = name.removesuffix(suffix)
    weight = Tensor(name, "float32", (rows, width), "initializer", None, made=made, root=codes.storage)
    found_inputs = [("input", given[0]), ("weight", weight), ("bias", given[5])]
    builder.emit(proto, "linear", "MatMulNBits", found_inputs, {}, names, OPERATORS["linear"])
    return True


def _zero_points(stored: np.ndarray, is_float: bool, bits: int, shape: tuple[int, int]) -> np.ndarray | None:
    """Zero points for each row and block: floats as they are, codes packed row by row."""
    if is_float:
        return stored.reshape(shape) if stored.size == shape[0] * shape[1] else None
    per_byte = 8 // bits
    codes = stored.astype(np.uint8).reshape(-1)
    if codes.size != shape[0] * -(-shape[1] // per_byte):
        return None
    shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(bits)
    spread = (codes.reshape(shape[0], -1)[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return spread.reshape(shape[0], -1)[:, : shape[1]].astype(np.float64)


def _activated(builder: Builder, proto: NodeProto, value: int, attrs: dict[str, Any], names: Names) -> bool:
    kind = str(attrs.get("activation", ""))
    entry = ONNX.get(kind)
    if entry is None:
        builder.emit(
            proto, "identity" if not kind else "opaque", kind or "Identity", [("input", value)], {}, names, None
        )
        return True
    params = attrs.get("activation_params") or ()
    keys = {"LeakyRelu": ("alpha",), "Clip": ("min", "max"), "HardSigmoid": ("alpha", "beta")}.get(kind, ())
    own = dict(zip(keys, params, strict=False))
    builder.plain(proto, kind, builder.opsets[""], [value], own, names, entry)
    return True
