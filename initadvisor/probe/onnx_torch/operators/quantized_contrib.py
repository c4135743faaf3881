"""Quantized operators of onnxruntime's own domain: codes in, codes out, computed on the numbers that they stand for."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from initadvisor.probe.onnx_torch.operators.quantization import requantized, spread
from initadvisor.probe.onnx_torch.registry import Call, implements


def _real(codes: Any, scale: Any, zero: Any) -> Any:
    numbers = codes.to(scale.dtype)
    return (numbers if zero is None else numbers - zero.to(scale.dtype)) * scale


@implements("com.microsoft::QLinearAdd", "com.microsoft::QLinearMul")
def pair(
    call: Call,
    left: Any,
    left_scale: Any,
    left_zero: Any,
    right: Any,
    right_scale: Any,
    right_zero: Any,
    scale: Any,
    zero: Any = None,
) -> Any:
    """The sum or product of two tensors."""
    a, b = _real(left, left_scale, left_zero), _real(right, right_scale, right_zero)
    call.budget.broadcast(a, b)
    return requantized(call, a + b if call.spelling.endswith("Add") else a * b, scale, zero, -1, left.dtype)


@implements("com.microsoft::QLinearSigmoid", "com.microsoft::QLinearLeakyRelu", "com.microsoft::QLinearSoftmax")
def activation(call: Call, x: Any, x_scale: Any, x_zero: Any, scale: Any, zero: Any = None) -> Any:
    """An activation."""
    real = _real(x, x_scale, x_zero)
    if call.spelling.endswith("Sigmoid"):
        made = torch.sigmoid(real)
    elif call.spelling.endswith("LeakyRelu"):
        made = F.leaky_relu(real, call.attr("alpha", 0.01))
    elif call.attr("opset", 13) < 13:
        made = torch.softmax(real.flatten(call.attr("axis", 1) % real.dim()), -1).reshape(real.shape)
    else:
        made = torch.softmax(real, call.attr("axis", -1))
    return requantized(call, made, scale, zero, -1, x.dtype)


@implements("com.microsoft::QLinearGlobalAveragePool")
def global_average_pool(call: Call, x: Any, x_scale: Any, x_zero: Any, scale: Any, zero: Any) -> Any:
    """The mean over all spatial axes."""
    real = _real(x, x_scale, x_zero)
    axes = tuple(range(1, x.dim() - 1)) if call.attr("channels_last", 0) else tuple(range(2, x.dim()))
    return requantized(call, real.mean(axes, keepdim=True), scale, zero, -1, x.dtype)


@implements("com.microsoft::QLinearConcat")
def concat(call: Call, scale: Any, zero: Any, *parts: Any) -> Any:
    """Tensors of different scales joined along an axis."""
    real = [_real(*parts[at : at + 3]) for at in range(0, len(parts), 3)]
    call.allow((sum(part.numel() for part in real),))
    return requantized(call, torch.cat(real, call.attr("axis")), scale, zero, -1, parts[0].dtype)


@implements("com.microsoft::QGemm")
def gemm(
    call: Call,
    left: Any,
    left_scale: Any,
    left_zero: Any,
    right: Any,
    right_scale: Any,
    right_zero: Any,
    addend: Any = None,
    scale: Any = None,
    zero: Any = None,
) -> Any:
    """alpha A B + C, where C counts in units of both scales; real numbers where no scale of the result is given."""
    a = _real(left, left_scale, left_zero)
    axis = 0 if call.attr("transB", 0) else 1
    b = (right.to(a.dtype) - spread(right_zero, right, axis).to(a.dtype)) * spread(right_scale, right, axis)
    a = a.t() if call.attr("transA", 0) else a
    b = b.t() if call.attr("transB", 0) else b
    call.allow((a.shape[0], b.shape[1]))
    alpha = call.attr("alpha", 1.0)
    made = alpha * torch.matmul(a, b)
    if addend is not None:
        made = made + addend.to(a.dtype) * (alpha * left_scale * right_scale).reshape(-1)
    return made if scale is None else requantized(call, made, scale, zero, -1, left.dtype)
