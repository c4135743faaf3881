"""Quantization with a straight-through gradient (arXiv 1308.3432): rounding counts as the identity, clipping does not.

Codes are integers in ONNX, and torch has no gradient for integers. Where all readers of a node's codes dequantize or
rearrange them, the codes are carried as floats of the same numbers (`Call.codes`).
"""

from __future__ import annotations

from typing import Any

import torch

from initadvisor.errors import UnsupportedError
from initadvisor.frontends.onnx_model.tensors import DTYPES
from initadvisor.probe.onnx_torch.operators.casts import BELOW_A_BYTE, SMALL_FLOATS, to_type
from initadvisor.probe.onnx_torch.operators.convolution import convolution
from initadvisor.probe.onnx_torch.registry import Call, implements
from initadvisor.probe.onnx_torch.types import TORCH_TYPES


def spread(table: Any, x: Any, axis: int, block: int = 0) -> Any:
    """A scale or zero point as it is broadcast to a tensor: one number, one an axis' element, or one a block."""
    if block:
        wide = table.repeat_interleave(block, axis % x.dim())
        return wide.narrow(axis % x.dim(), 0, x.shape[axis])
    if table.numel() == 1:
        return table.reshape(())
    shape = [1] * x.dim()
    shape[axis] = -1
    return table.reshape(shape)


def encoded(x: Any, scale: Any, zero: Any, kind: Any) -> Any:
    """Codes as floats: x / scale rounded to even, moved by the zero point and held inside the type.

    The gradient is that of x / scale where the code needs no clipping, and zero elsewhere.
    """
    steps = x / scale
    codes = torch.round(steps.detach())
    if zero is not None:
        codes = codes + zero
    low, high = BELOW_A_BYTE[kind] if kind in BELOW_A_BYTE else (torch.iinfo(kind).min, torch.iinfo(kind).max)
    inside = (codes >= low) & (codes <= high)
    return torch.clamp(codes, low, high) + torch.where(inside, steps - steps.detach(), torch.zeros_like(steps))


@implements("QuantizeLinear", "com.microsoft::QuantizeLinear")
def quantize(call: Call, x: Any, scale: Any, zero: Any = None) -> Any:
    """The nearest code of each number."""
    axis, block = call.attr("axis", 1), call.attr("block_size", 0)
    asked = call.attr("output_dtype", 0)
    kind = zero.dtype if zero is not None else TORCH_TYPES.get(asked, None if asked else torch.uint8)
    narrow = call.code_type or DTYPES.get(asked, "")
    if narrow in BELOW_A_BYTE:
        kind = torch.int8 if narrow.startswith("int") else torch.uint8
    if kind is None:
        raise UnsupportedError(f"codes of tensor type {asked}, which torch does not compute with")
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    if not wide.is_floating_point():
        wide = wide.float()
    steps = spread(scale, x, axis, block).to(wide.dtype)
    if kind in SMALL_FLOATS:
        return to_type(wide / steps, kind, bool(call.attr("saturate", 1)))
    offset = None if zero is None else spread(zero, x, axis, block).to(wide.dtype)
    codes = encoded(wide, steps, offset, narrow if narrow in BELOW_A_BYTE else kind)
    return codes if call.codes else codes.detach().to(kind)


@implements("DequantizeLinear", "com.microsoft::DequantizeLinear")
def dequantize(call: Call, codes: Any, scale: Any, zero: Any = None) -> Any:
    """The numbers that codes stand for: (code - zero point) * scale."""
    axis, block = call.attr("axis", 1), call.attr("block_size", 0)
    kind = TORCH_TYPES.get(call.attr("output_dtype", 0), scale.dtype)
    wide = torch.float32 if scale.dtype in (torch.float16, torch.bfloat16) else scale.dtype
    numbers = codes.to(wide)
    if zero is not None:
        numbers = numbers - spread(zero, codes, axis, block).to(wide)
    return (numbers * spread(scale, codes, axis, block).to(wide)).to(kind)


@implements("DynamicQuantizeLinear")
def dynamic_quantize(call: Call, x: Any) -> Any:
    """Codes of 8 bits whose scale follows from the smallest and the largest number."""
    low, high = torch.clamp(x.min(), max=0), torch.clamp(x.max(), min=0)
    scale = ((high - low) / 255).detach()
    zero = torch.clamp(torch.round(-low / torch.where(scale == 0, torch.ones_like(scale), scale)), 0, 255).detach()
    codes = encoded(x, torch.where(scale == 0, torch.ones_like(scale), scale), zero, torch.uint8)
    return codes if call.codes else codes.detach().to(torch.uint8), scale, zero.to(torch.uint8)


def requantized(call: Call, x: Any, scale: Any, zero: Any, axis: int, default: Any = torch.uint8) -> Any:
    """Numbers as codes of the type of their zero point, of `default` where there is none."""
    kind = default if zero is None else zero.dtype
    offset = None if zero is None else spread(zero, x, axis).to(x.dtype)
    codes = encoded(x, spread(scale, x, axis), offset, kind)
    return codes if call.codes else codes.detach().to(kind)


@implements("QLinearMatMul")
def quantized_matmul(
    call: Call,
    left: Any,
    left_scale: Any,
    left_zero: Any,
    right: Any,
    right_scale: Any,
    right_zero: Any,
    scale: Any,
    zero: Any,
) -> Any:
    """The product of what two tensors of codes stand for, as codes."""
    work = torch.float32

    def real(codes: Any, steps: Any, offset: Any, rows: bool) -> Any:
        axis = -2 if rows else -1
        if offset.dim() > 1 or steps.dim() > 1:
            return (codes.to(work) - offset.to(work)) * steps.to(work)
        return (codes.to(work) - spread(offset, codes, axis).to(work)) * spread(steps, codes, axis).to(work)

    if left.dim() > 1 and right.dim() > 1:
        call.allow((max(left.shape[:-2].numel(), right.shape[:-2].numel()), left.shape[-2], right.shape[-1]))
    product = torch.matmul(real(left, left_scale, left_zero, True), real(right, right_scale, right_zero, False))
    return requantized(call, product, scale.to(work), zero, -2)


@implements("QLinearConv")
def quantized_convolution(
    call: Call,
    x: Any,
    x_scale: Any,
    x_zero: Any,
    weight: Any,
    weight_scale: Any,
    weight_zero: Any,
    scale: Any,
    zero: Any,
    bias: Any = None,
) -> Any:
    """The convolution of what codes stand for, as codes; the bias counts in units of both scales."""
    work = x_scale.dtype
    real = (x.to(work) - x_zero.to(work)) * x_scale
    kernel = (weight.to(work) - spread(weight_zero, weight, 0).to(work)) * spread(weight_scale, weight, 0)
    shift = None if bias is None else bias.to(work) * (x_scale * weight_scale).reshape(-1)
    made = convolution(call, real, kernel, shift)
    return requantized(call, made, scale, zero, 1)
