"""Reductions over axes: an attribute in older operator sets, an input in newer ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from initadvisor.probe.onnx_torch.registry import Call, given, implements

_Reduce = Callable[[Any, list[int], bool], Any]


def _register(spelling: str, reduce: _Reduce, alone: Callable[[Any], Any] = lambda x: x) -> None:
    def run(call: Call, x: Any, axes: Any = None) -> Any:
        wanted = given(call, "axes", axes)
        if not wanted:
            if call.attr("noop_with_empty_axes", 0):
                return alone(x)
            wanted = list(range(x.dim()))
        if not x.dim():
            return reduce(x.reshape(1), [0], False)
        return reduce(x, wanted, bool(call.attr("keepdims", 1)))

    implements(spelling)(run)


def _sum(x: Any, axes: list[int], keep: bool) -> Any:
    return x.sum(axes, keepdim=keep).to(x.dtype)


def _mean(x: Any, axes: list[int], keep: bool) -> Any:
    return x.mean(axes, keepdim=keep) if x.is_floating_point() else x.double().mean(axes, keepdim=keep).to(x.dtype)


def _product(x: Any, axes: list[int], keep: bool) -> Any:
    kind = x.dtype
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x.to(kind)


def _extreme(largest: bool) -> _Reduce:
    def reduce(x: Any, axes: list[int], keep: bool) -> Any:
        if x.dtype == torch.bool:
            return (x.any if largest else x.all)(dim=tuple(axes), keepdim=keep)
        if x.numel() == 0:
            limits = torch.finfo(x.dtype) if x.is_floating_point() else torch.iinfo(x.dtype)
            bound = limits.min if largest else limits.max
            if x.is_floating_point():
                bound = float("-inf") if largest else float("inf")
            sizes = [size if axis not in {a % x.dim() for a in axes} else 1 for axis, size in enumerate(x.shape)]
            full = torch.full(sizes, bound, dtype=x.dtype, device=x.device)
            return full if keep else full.squeeze(tuple(axes))
        return x.amax(axes, keepdim=keep) if largest else x.amin(axes, keepdim=keep)

    return reduce


def _euclidean(x: Any, axes: list[int], keep: bool) -> Any:
    if not x.is_floating_point():
        return torch.linalg.vector_norm(x.double(), 2, axes, keepdim=keep).to(x.dtype)
    return torch.linalg.vector_norm(x, 2, axes, keepdim=keep)


_register("ReduceSum", _sum)
_register("ReduceMean", _mean)
_register("ReduceProd", _product)
_register("ReduceMax", _extreme(True))
_register("ReduceMin", _extreme(False))
_register("ReduceL1", lambda x, axes, keep: x.abs().sum(axes, keepdim=keep).to(x.dtype), torch.abs)
_register("ReduceL2", _euclidean, torch.abs)
_register("ReduceLogSum", lambda x, axes, keep: torch.log(x.sum(axes, keepdim=keep)), torch.log)
_register("ReduceLogSumExp", lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep))
_register("ReduceSumSquare", lambda x, axes, keep: (x * x).sum(axes, keepdim=keep).to(x.dtype), torch.square)
