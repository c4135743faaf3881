"""Shapes and types of the results of common operators, told without running them.

Torch answers the same questions on the meta device, but most of its shape rules are Python code that imports its
compiler the first time (seconds) and takes tens of microseconds every time. A rule here says nothing (None) wherever
the arguments are unusual or do not fit: torch then decides, and words the error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch

from initadvisor.frontends.torch_module.shape_products import (
    Told,
    added_product,
    broadcast,
    convolution,
    each,
    grouped_matmul,
    linear,
    matmul,
    transposed_convolution,
)
from initadvisor.ops import OPERATORS

Rule = Callable[[Sequence[Any], dict[str, Any]], Told]

_BOOLEAN = frozenset({"eq", "ne", "gt", "ge", "lt", "le", "logical_and", "logical_or", "logical_xor", "logical_not"})
_KEEPS_INTEGERS = frozenset(
    {
        "neg",
        "abs",
        "positive",
        "square",
        "sign",
        "clamp",
        "round",
        "ceil",
        "floor",
        "trunc",
        "relu",
        "relu6",
        "hardtanh",
    }
)
_BINARY = frozenset(
    {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder", "fmod", "floor_divide", "atan2"}
    | {"bitwise_and", "bitwise_or", "bitwise_xor", "reversed_sub", "reversed_div", "reversed_pow"}
)


def told(op: str, items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    """The shape and type of the single result of an operator on bound arguments, or None where torch must decide."""
    rule = RULES.get(op)
    return (
        rule(items, attrs) if rule is not None and items and isinstance(items[0], torch.Tensor | int | float) else None
    )


def _same(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    tensor = items[0]
    return tuple(tensor.shape), tensor.dtype


def _same_float(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    tensor = items[0]
    return (tuple(tensor.shape), tensor.dtype) if tensor.is_floating_point() else None


def _elementwise(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    tensors = [i for i in items if isinstance(i, torch.Tensor)]
    shape = broadcast([t.shape for t in tensors])
    if shape is None or len(items) != 2:
        return None
    return shape, torch.result_type(*items)


def _division(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    found = _elementwise(items, {})
    if found is None or found[1].is_floating_point or found[1].is_complex:
        return found
    return (found[0], torch.get_default_dtype()) if attrs.get("rounding_mode") is None else found


def _comparison(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    shape = broadcast([i.shape for i in items if isinstance(i, torch.Tensor)])
    return None if shape is None else (shape, torch.bool)


def _where(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    if len(items) != 3 or not all(isinstance(i, torch.Tensor | int | float) for i in items):
        return None
    shape = broadcast([i.shape for i in items if isinstance(i, torch.Tensor)])
    return None if shape is None else (shape, torch.result_type(items[1], items[2]))


def _masked_fill(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    shape = broadcast([i.shape for i in items[:2]])
    return None if shape is None else (shape, items[0].dtype)


def _pooling(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    x = items[0]
    rank = attrs.get("rank", 0)
    kernel = each(attrs.get("kernel_size"), rank)
    if not rank or x.dim() != rank + 2 or kernel is None or attrs.get("ceil_mode") or attrs.get("return_indices"):
        return None
    stride = each(attrs.get("stride") or kernel, rank)
    padding, dilation = each(attrs.get("padding", 0), rank), each(attrs.get("dilation", 1), rank)
    if stride is None or padding is None or dilation is None:
        return None
    out = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    ]
    return (
        ((*x.shape[:2], *out), x.dtype)
        if min(out) > 0 and all(2 * p <= k for p, k in zip(padding, kernel, strict=True))
        else None
    )


def _adaptive_pooling(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    x, rank = items[0], attrs.get("rank", 0)
    size = each(attrs.get("output_size"), rank, missing=True)
    if not rank or x.dim() != rank + 2 or size is None or attrs.get("return_indices") or not x.is_floating_point():
        return None
    return (*x.shape[:2], *(n if s is None else s for n, s in zip(x.shape[2:], size, strict=True))), x.dtype


def _batch_norm(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    x = items[0]
    fits = all(t is None or t.shape == x.shape[1:2] for t in items[1:])
    alone = attrs.get("training") and prod(x.shape) == (x.shape[1] if x.dim() > 1 else 0)
    return (tuple(x.shape), x.dtype) if x.dim() > 1 and fits and not alone and x.is_floating_point() else None


def _layer_norm(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    x = items[0]
    shape = attrs.get("normalized_shape")
    if not isinstance(shape, tuple) or tuple(x.shape[x.dim() - len(shape) :]) != shape or not x.is_floating_point():
        return None
    return (tuple(x.shape), x.dtype) if all(t is None or t.shape == shape for t in items[1:]) else None


def _group_norm(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    x, groups = items[0], attrs.get("num_groups")
    fits = isinstance(groups, int) and x.dim() > 1 and x.shape[1] % groups == 0
    return (tuple(x.shape), x.dtype) if fits and all(t is None or t.shape == x.shape[1:2] for t in items[1:]) else None


def _softmax(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    dtype = attrs.get("dtype")
    kind = getattr(torch, dtype) if isinstance(dtype, str) else items[0].dtype
    return (tuple(items[0].shape), kind) if isinstance(attrs.get("dim"), int) and kind.is_floating_point else None


def _attention(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    query, key, value = items[:3]
    if not query.dim() == key.dim() == value.dim() or query.dim() < 3 or query.dtype != value.dtype:
        return None
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        return None
    same = query.shape[:-2] == key.shape[:-2] == value.shape[:-2]
    grouped = attrs.get("enable_gqa") and query.shape[-3] % key.shape[-3] == 0 and query.shape[0] == key.shape[0]
    return ((*query.shape[:-1], value.shape[-1]), query.dtype) if same or grouped else None


def _embedding(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    indices, weight = items[0], items[1]
    if weight.dim() != 2 or indices.dtype not in (torch.int64, torch.int32):
        return None
    return (*indices.shape, weight.shape[1]), weight.dtype


def _reduction(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    x, dims = items[0], attrs.get("dim")
    if not x.is_floating_point() or "dtype" in attrs or len(items) > 1:
        return None
    if isinstance(dims, bool):
        return None
    dims = range(x.dim()) if dims is None or dims == () else (dims,) if isinstance(dims, int) else dims
    if not all(isinstance(d, int) and -x.dim() <= d < x.dim() for d in dims):
        return None
    chosen = {d % x.dim() for d in dims}
    if attrs.get("keepdim"):
        return tuple(1 if i in chosen else n for i, n in enumerate(x.shape)), x.dtype
    return tuple(n for i, n in enumerate(x.shape) if i not in chosen), x.dtype


def _concatenation(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    dim = attrs.get("dim", 0)
    first = items[0]
    rank = first.dim()
    if not isinstance(dim, int) or not rank or not -rank <= dim < rank or any(t.dtype != first.dtype for t in items):
        return None
    dim %= rank
    rest = [(*t.shape[:dim], *t.shape[dim + 1 :]) for t in items]
    if any(t.dim() != rank for t in items) or any(r != rest[0] for r in rest):
        return None
    return (*first.shape[:dim], sum(t.shape[dim] for t in items), *first.shape[dim + 1 :]), first.dtype


def _stacking(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    dim, first = attrs.get("dim", 0), items[0]
    rank = first.dim() + 1
    if not isinstance(dim, int) or not -rank <= dim < rank:
        return None
    if any(t.shape != first.shape or t.dtype != first.dtype for t in items):
        return None
    shape = list(first.shape)
    shape.insert(dim % rank, len(items))
    return tuple(shape), first.dtype


def _dropout(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    return _same_float(items, attrs) if attrs.get("training") and attrs.get("p", 0.5) else None


def _weight_norm(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    return (tuple(items[0].shape), items[0].dtype) if items[0].dtype == items[1].dtype else None


def _roll(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    dims = attrs.get("dims")
    dims = dims if isinstance(dims, tuple) else (dims,)
    rank = items[0].dim()
    return _same(items, attrs) if all(isinstance(d, int) and -rank <= d < rank for d in dims) else None


def _rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for entry in OPERATORS.values():
        unary = entry.slots == ("input",)
        if entry.family in ("activation", "elementwise") and unary and entry.name not in ("glu", "angle", "conj"):
            rules[entry.name] = _same if entry.name in _KEEPS_INTEGERS else _same_float
    rules |= dict.fromkeys(_BINARY, _elementwise)
    rules |= dict.fromkeys(("div", "reversed_div"), _division)
    rules |= dict.fromkeys(_BOOLEAN, _comparison)
    rules |= dict.fromkeys(("sum", "mean", "amax", "amin", "logsumexp"), _reduction)
    rules |= dict.fromkeys(("local_response_norm", "normalize", "prelu", "instance_norm"), _same_float)
    rules |= {
        "dropout": _dropout,
        "where": _where,
        "masked_fill": _masked_fill,
        "linear": linear,
        "matmul": matmul,
        "addmm": added_product,
        "grouped_matmul": grouped_matmul,
        "conv": convolution,
        "conv_transpose": transposed_convolution,
        "max_pool": _pooling,
        "avg_pool": _pooling,
        "adaptive_avg_pool": _adaptive_pooling,
        "batch_norm": _batch_norm,
        "layer_norm": _layer_norm,
        "rms_norm": _layer_norm,
        "group_norm": _group_norm,
        "softmax": _softmax,
        "log_softmax": _softmax,
        "scaled_dot_product_attention": _attention,
        "embedding": _embedding,
        "cat": _concatenation,
        "stack": _stacking,
        "weight_norm": _weight_norm,
        "roll": _roll,
        "flip": _same,
        "tril": _same,
        "triu": _same,
    }
    return rules


RULES: dict[str, Rule] = _rules()
"""Canonical operator -> rule, for operators with one result."""
