"""Element-wise operators whose ONNX form differs from torch's: integer division, limits as inputs, many operands."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F

from initadvisor.probe.onnx_torch.registry import Call, implements, number
from initadvisor.probe.onnx_torch.tabled import aligned, computed


@implements("Div")
def divide(call: Call, left: Any, right: Any) -> Any:
    """Division; that of integers truncates."""
    left, right = aligned(call, left, right)
    call.budget.broadcast(left, right)
    if left.is_floating_point() or left.is_complex():
        return torch.div(left, right)
    return computed(torch.div, left, right, rounding_mode="trunc")


@implements("Mod")
def modulo(call: Call, left: Any, right: Any) -> Any:
    """The remainder with the sign of the divisor, of the dividend with `fmod`."""
    call.budget.broadcast(left, right)
    return computed(torch.fmod if call.attr("fmod", 0) else torch.remainder, left, right)


@implements("Pow")
def power(call: Call, base: Any, exponent: Any) -> Any:
    """Power in the type of the base."""
    base, exponent = aligned(call, base, exponent)
    call.budget.broadcast(base, exponent)
    kind = base.dtype
    if kind != exponent.dtype and not base.is_floating_point():
        base = base.to(torch.promote_types(torch.float64, exponent.dtype))
    return computed(torch.pow, base, exponent).to(kind)


@implements("Clip")
def clip(call: Call, x: Any, low: Any = None, high: Any = None) -> Any:
    """Values held between limits, which may be absent; where they cross, the upper one holds."""
    if call.opset < 11:
        low, high = call.attr("min"), call.attr("max")
        return x if low is None and high is None else torch.clamp(x, low, high)
    if low is not None:
        x = torch.maximum(x, low.to(x.dtype).reshape(()))
    return x if high is None else torch.minimum(x, high.to(x.dtype).reshape(()))


def _fold(call: Call, function: Any, inputs: tuple[Any, ...]) -> Any:
    call.budget.broadcast(*inputs)
    return functools.reduce(functools.partial(computed, function), inputs)


@implements("Sum")
def total(call: Call, *inputs: Any) -> Any:
    """The sum of any number of tensors."""
    return _fold(call, torch.add, inputs)


@implements("Mean")
def mean(call: Call, *inputs: Any) -> Any:
    """The mean of any number of tensors."""
    return _fold(call, torch.add, inputs) / len(inputs)


@implements("Max")
def largest(call: Call, *inputs: Any) -> Any:
    """The largest of any number of tensors, place by place."""
    return _fold(call, torch.maximum, inputs)


@implements("Min")
def smallest(call: Call, *inputs: Any) -> Any:
    """The smallest of any number of tensors, place by place."""
    return _fold(call, torch.minimum, inputs)


@implements("BitShift")
def bit_shift(call: Call, left: Any, right: Any) -> Any:
    """Bits moved to the left or the right."""
    shift = torch.bitwise_left_shift if call.attr("direction") == "LEFT" else torch.bitwise_right_shift
    return computed(shift, left, right)


@implements("IsInf")
def is_infinite(call: Call, x: Any) -> Any:
    """Which elements are infinite, of the signs that the attributes ask for."""
    found = torch.isinf(x)
    if not call.attr("detect_negative", 1):
        found = found & (x > 0)
    return found if call.attr("detect_positive", 1) else found & (x < 0)


@implements("Where")
def where(call: Call, condition: Any, x: Any, y: Any) -> Any:
    """Elements of one tensor or the other."""
    call.budget.broadcast(condition, x, y)
    return torch.where(condition, x, y)


@implements("Selu")
def selu(call: Call, x: Any) -> Any:
    """SELU with the constants that the node gives."""
    if not call.attrs:
        return F.selu(x)
    alpha, gamma = call.attr("alpha", 1.67326319), call.attr("gamma", 1.05070102)
    return gamma * F.elu(x, alpha)


@implements("HardSigmoid")
def hard_sigmoid(call: Call, x: Any) -> Any:
    """A line between 0 and 1, by default of slope 1/5."""
    return torch.clamp(call.attr("alpha", 0.2) * x + call.attr("beta", 0.5), 0, 1)


@implements("Shrink")
def shrink(call: Call, x: Any) -> Any:
    """Nothing near zero, beyond it the value moved towards zero by `bias`."""
    lambd, bias = call.attr("lambd", 0.5), call.attr("bias", 0.0)
    result = torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, torch.zeros_like(x)))
    return result.to(x.dtype)


@implements("Swish", "com.microsoft::QuickGelu")
def swish(call: Call, x: Any) -> Any:
    """x * sigmoid(alpha x)."""
    return x * torch.sigmoid(call.attr("alpha", 1.702 if "QuickGelu" in call.spelling else 1.0) * x)


@implements("com.microsoft::FastGelu", "com.microsoft::BiasGelu")
def fast_gelu(call: Call, x: Any, bias: Any = None) -> Any:
    """GELU of a biased input, by its tanh form where the name says so."""
    approximate = "tanh" if "Fast" in call.spelling else "none"
    return F.gelu(x if bias is None else x + bias, approximate=approximate)


@implements("PRelu")
def prelu(call: Call, x: Any, slope: Any) -> Any:
    """The slope is broadcast to the input; before version 7 it is one number a channel."""
    if call.opset < 7 and slope.dim() == 1 and x.dim() > 2:
        slope = slope.reshape((-1,) + (1,) * (x.dim() - 2))
    return torch.where(x < 0, slope * x, x)


@implements("Dropout")
def dropout(call: Call, x: Any, ratio: Any = None, training: Any = None) -> Any:
    """Active where the node says so, and in training mode of the module."""
    share = float(number(ratio, call.attr("ratio", 0.5)))
    active = call.training
    if call.opset >= 12 and training is not None:
        active = active or bool(number(training))
    elif call.opset < 7:
        active = active or not call.attr("is_test", 0)
    if not active or share == 0:
        result, mask = x, torch.ones_like(x, dtype=torch.bool) if call.outputs > 1 else None
    else:
        mask = torch.rand_like(x, dtype=torch.float32) >= share
        result = torch.where(mask, x / (1 - share), torch.zeros_like(x)) if share < 1 else torch.zeros_like(x)
    return (result, mask) if call.outputs > 1 else result


@implements("Identity", "ImageScaler")
def identity(call: Call, x: Any) -> Any:
    """The same tensor; ImageScaler scales it and adds a bias a channel."""
    if call.spelling == "Identity":
        return x
    bias = torch.tensor(call.attr("bias", (0.0,)), dtype=x.dtype, device=x.device)
    return call.attr("scale", 1.0) * x + bias.reshape(1, -1, 1, 1)
