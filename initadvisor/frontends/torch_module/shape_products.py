"""Shapes of products with a weight: linear maps, matrix products, convolutions (see `shape_rules`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

Told = tuple[tuple[int, ...], torch.dtype] | None
"""Shape and type of a result, or None where torch must decide."""


def broadcast(shapes: Sequence[Sequence[int]]) -> tuple[int, ...] | None:
    """The shape that shapes broadcast to, or None."""
    rank = max(len(s) for s in shapes)
    result = [1] * rank
    for shape in shapes:
        for position, size in enumerate(shape, start=rank - len(shape)):
            if size != 1:
                if result[position] not in (1, size):
                    return None
                result[position] = size
    return tuple(result)


def each(value: Any, count: int, missing: bool = False) -> tuple[Any, ...] | None:
    """A setting for each of `count` axes; None where it does not say one for each."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,) * count
    if isinstance(value, tuple) and len(value) == 1:
        value = value * count
    if isinstance(value, tuple) and len(value) == count:
        good = all(isinstance(v, int) or (missing and v is None) for v in value)
        return value if good else None
    return None


def linear(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    """`x W^T + b`."""
    x, weight = items[0], items[1]
    bias = items[2] if len(items) > 2 else None
    if weight.dim() != 2 or x.dim() < 1 or x.shape[-1] != weight.shape[1] or x.dtype != weight.dtype:
        return None
    if bias is not None and (bias.shape != weight.shape[:1] or bias.dtype != x.dtype):
        return None
    return (*x.shape[:-1], weight.shape[0]), x.dtype


def matmul(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    """A product of matrices or of stacks of them."""
    left, right = items[0], items[1]
    if left.dim() < 2 or right.dim() < 2 or left.dtype != right.dtype or left.shape[-1] != right.shape[-2]:
        return None
    batch = broadcast([left.shape[:-2], right.shape[:-2]]) if left.dim() + right.dim() > 4 else ()
    return None if batch is None else ((*batch, left.shape[-2], right.shape[-1]), left.dtype)


def added_product(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    """`c + a b`."""
    if len(items) != 3 or not isinstance(items[0], torch.Tensor):
        return None
    found = matmul(items[1:], {})
    shape = None if found is None else broadcast([items[0].shape, found[0]])
    return found if found is not None and shape == found[0] and items[0].dtype == found[1] else None


def grouped_matmul(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    """Rows (tokens, in) sorted into groups, each times its own matrix of (groups, in, out).

    Torch's own rule also wants the memory alignment that its kernels need, which says nothing about the shape.
    """
    left, right = items[0], items[1]
    if left.dim() != 2 or right.dim() != 3 or left.shape[1] != right.shape[1] or left.dtype != right.dtype:
        return None
    return (left.shape[0], right.shape[2]), left.dtype


def convolution(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    """A convolution of any rank."""
    x, weight = items[0], items[1]
    rank, groups = weight.dim() - 2, attrs.get("groups", 1)
    if x.dim() != weight.dim() or x.shape[1] != weight.shape[1] * groups or x.dtype != weight.dtype:
        return None
    stride, dilation = each(attrs.get("stride", 1), rank), each(attrs.get("dilation", 1), rank)
    padding = attrs.get("padding", 0)
    sizes = tuple(x.shape[2:])
    if padding == "same":
        return (x.shape[0], weight.shape[0], *sizes), x.dtype
    pads = each(0 if padding == "valid" else padding, rank)
    if stride is None or dilation is None or pads is None or weight.shape[0] % groups:
        return None
    spread = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
    out = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(sizes, pads, spread, stride, strict=True)]
    return ((x.shape[0], weight.shape[0], *out), x.dtype) if min(out) > 0 else None


def transposed_convolution(items: Sequence[Any], attrs: dict[str, Any]) -> Told:
    """A transposed convolution of any rank."""
    x, weight = items[0], items[1]
    rank, groups = weight.dim() - 2, attrs.get("groups", 1)
    if x.dim() != weight.dim() or x.shape[1] != weight.shape[0] or x.dtype != weight.dtype:
        return None
    settings = [each(attrs.get(n, d), rank) for n, d in (("stride", 1), ("padding", 0), ("dilation", 1))]
    extra = each(attrs.get("output_padding", 0), rank)
    if any(s is None for s in settings) or extra is None:
        return None
    out = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, k, s, p, d, e in zip(x.shape[2:], weight.shape[2:], *settings, extra, strict=True)  # type: ignore[arg-type]
    ]
    return ((x.shape[0], weight.shape[1] * groups, *out), x.dtype) if min(out) > 0 else None
