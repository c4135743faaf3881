"""Normalisations."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from initadvisor.probe.onnx_torch.registry import Call, implements


@implements("BatchNormalization")
def batch_norm(call: Call, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    """By running statistics; by those of the batch where the node or the module is in training mode.

    In training mode of the module the running statistics are updated in place, as torch does it.
    """
    eps, momentum = call.attr("epsilon", 1e-5), call.attr("momentum", 0.9)
    shape = (1, -1) + (1,) * (x.dim() - 2)
    if call.opset < 9 and not call.attr("spatial", 1) and scale.dim() > 1:
        return (x - mean) / torch.sqrt(variance + eps) * scale + bias
    legacy = call.opset < 7 and not call.attr("is_test", 0) and call.outputs > 1
    own = bool(call.attr("training_mode", 0)) if call.opset >= 14 else legacy
    if not own:
        if mean.requires_grad or variance.requires_grad:  # computed statistics, which torch's kernel does not train
            centred = (x - mean.reshape(shape)) * torch.rsqrt(variance.reshape(shape) + eps)
            return centred * scale.reshape(shape) + bias.reshape(shape)
        kept = mean.dtype == scale.dtype
        if call.training and kept:
            return F.batch_norm(x, mean, variance, scale, bias, True, 1 - momentum, eps)
        return F.batch_norm(x, mean.to(scale.dtype), variance.to(scale.dtype), scale, bias, False, 0.0, eps)
    axes = [axis for axis in range(x.dim()) if axis != 1]
    now, spread = x.mean(axes), x.var(axes, unbiased=False)
    made = (x - now.reshape(shape)) / torch.sqrt(spread.reshape(shape) + eps)
    made = made * scale.reshape(shape) + bias.reshape(shape)
    new_mean = mean * momentum + now.detach() * (1 - momentum)
    new_variance = variance * momentum + spread.detach() * (1 - momentum)
    if call.training and not mean.requires_grad and not variance.requires_grad:
        with torch.no_grad():
            mean.copy_(new_mean)
            variance.copy_(new_variance)
    return (made.to(x.dtype), new_mean, new_variance)[: call.outputs] if call.outputs > 1 else made.to(x.dtype)


@implements("InstanceNormalization")
def instance_norm(call: Call, x: Any, scale: Any, bias: Any) -> Any:
    """Each channel of each sample by its own statistics."""
    axes = list(range(2, x.dim()))
    shape = (1, -1) + (1,) * (x.dim() - 2)
    centred = x - x.mean(axes, keepdim=True)
    made = centred * torch.rsqrt((centred**2).mean(axes, keepdim=True) + call.attr("epsilon", 1e-5))
    return made * scale.reshape(shape) + bias.reshape(shape)


@implements("LayerNormalization", "com.microsoft::LayerNormalization")
def layer_norm(call: Call, x: Any, scale: Any, bias: Any = None) -> Any:
    """All axes from `axis` on by their own statistics; mean and inverse deviation on request."""
    axis = call.attr("axis", -1) % x.dim()
    eps = call.attr("epsilon", 1e-5)
    shape = x.shape[axis:]
    if call.outputs == 1 and scale.shape == shape and (bias is None or bias.shape == shape):
        return F.layer_norm(x, shape, scale, bias, eps)
    axes = list(range(axis, x.dim()))
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    mean = wide.mean(axes, keepdim=True)
    inverse = torch.rsqrt(((wide - mean) ** 2).mean(axes, keepdim=True) + eps)
    made = ((wide - mean) * inverse).to(x.dtype) * scale
    made = made if bias is None else made + bias
    return (made, mean, inverse)[: call.outputs] if call.outputs > 1 else made


@implements("RMSNormalization", "SimplifiedLayerNormalization", "com.microsoft::SimplifiedLayerNormalization")
def rms_norm(call: Call, x: Any, scale: Any) -> Any:
    """All axes from `axis` on by their root mean square (arXiv 1910.07467)."""
    axes = list(range(call.attr("axis", -1) % x.dim(), x.dim()))
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    made = wide * torch.rsqrt((wide**2).mean(axes, keepdim=True) + call.attr("epsilon", 1e-5))
    return made.to(x.dtype) * scale


@implements("com.microsoft::SkipLayerNormalization", "com.microsoft::SkipSimplifiedLayerNormalization")
def skip_layer_norm(call: Call, x: Any, skip: Any, scale: Any, bias: Any = None, added: Any = None) -> Any:
    """A residual sum and its normalisation in one node; the fourth output is the sum."""
    simplified = "Simplified" in call.spelling
    if simplified:
        bias, added = None, bias
    total = x + skip if added is None else x + skip + added
    eps = call.attr("epsilon", 1e-5 if simplified else 1e-12)
    if simplified:
        made = total * torch.rsqrt((total**2).mean(-1, keepdim=True) + eps) * scale
    else:
        made = F.layer_norm(total, scale.shape, scale, bias, eps)
    return (made, None, None, total)[: call.outputs] if call.outputs > 1 else made


@implements("GroupNormalization")
def group_norm(call: Call, x: Any, scale: Any, bias: Any) -> Any:
    """Groups of channels by their own statistics; before version 21 there is one scale a group."""
    groups = call.attr("num_groups", 1)
    if call.opset < 21 and scale.numel() == groups:
        width = x.shape[1] // groups
        scale, bias = scale.repeat_interleave(width), bias.repeat_interleave(width)
    return F.group_norm(x, groups, scale, bias, call.attr("epsilon", 1e-5))


@implements("LRN")
def local_response_norm(call: Call, x: Any) -> Any:
    """Each element by the squares around it along the channels (Krizhevsky et al. 2012)."""
    size = call.attr("size", 1)
    before = (size - 1) // 2
    channels = x.shape[1]
    reach = min(size, 2 * channels)
    wide = F.pad((x**2).movedim(1, -1), (min(before, channels), max(min(size - 1 - before, channels), 0)))
    shift = before - min(before, channels)
    total = sum(wide[..., at : at + channels] for at in range(max(shift, 0), reach) if at + channels <= wide.shape[-1])
    total = total.movedim(-1, 1)  # type: ignore[union-attr]
    alpha = call.attr("alpha", 1e-4)
    return x / (call.attr("bias", 1.0) + alpha / size * total) ** call.attr("beta", 0.75)


@implements("LpNormalization")
def lp_norm(call: Call, x: Any) -> Any:
    """Vectors along an axis divided by their norm; those of length zero stay."""
    length = torch.linalg.vector_norm(x, call.attr("p", 2), call.attr("axis", -1), keepdim=True)
    return torch.where(length == 0, torch.zeros_like(x), x / torch.where(length == 0, torch.ones_like(length), length))


@implements("MeanVarianceNormalization")
def mean_variance_norm(call: Call, x: Any) -> Any:
    """Mean 0 and variance 1 over some axes."""
    axes = list(call.attr("axes", (0, 2, 3)))
    centred = x - x.mean(axes, keepdim=True)
    return centred / (torch.sqrt((centred**2).mean(axes, keepdim=True)) + 1e-9)


def _old_matrix(call: Call, x: Any) -> Any:
    """Before version 13 all axes from `axis` on, by default 1, count as one."""
    axis = call.attr("axis", 1)
    return x.reshape(x.shape[: axis % max(x.dim(), 1)].numel(), -1)


@implements("Softmax")
def softmax(call: Call, x: Any) -> Any:
    """Weights that sum to one."""
    if call.opset < 13:
        return torch.softmax(_old_matrix(call, x), -1).reshape(x.shape)
    return torch.softmax(x, call.attr("axis", -1))


@implements("LogSoftmax")
def log_softmax(call: Call, x: Any) -> Any:
    """The logarithm of weights that sum to one."""
    if call.opset < 13:
        return torch.log_softmax(_old_matrix(call, x), -1).reshape(x.shape)
    return torch.log_softmax(x, call.attr("axis", -1))


@implements("Hardmax")
def hardmax(call: Call, x: Any) -> Any:
    """One at the first largest element, zero elsewhere."""
    seen = _old_matrix(call, x) if call.opset < 13 else x
    axis = -1 if call.opset < 13 else call.attr("axis", -1)
    index = seen.argmax(axis, keepdim=True)
    return torch.zeros_like(seen).scatter(axis, index, 1).reshape(x.shape)
