"""Implementations read off the shared operator table: element-wise operators, activations and comparisons.

The table says how ONNX and torch spell one canonical operator and how their attributes correspond; nothing more is
needed to run it.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from initadvisor.ops import ONNX, Operator
from initadvisor.probe.onnx_torch.registry import Call, Implementation

_FAMILIES = frozenset({"elementwise", "activation", "compare"})
NARROW = frozenset({torch.uint16, torch.uint32, torch.uint64})
"""Types that torch stores and does not compute with."""


def tabled(spelling: str) -> Implementation | None:
    """The implementation of an operator that the shared table spells in torch, or None."""
    entry = ONNX.get(spelling)
    if entry is None or entry.family not in _FAMILIES or any(slot.endswith("...") for slot in entry.slots):
        return None
    found = _function(entry)
    if found is None:
        return None
    function, parameters = found
    renames = entry.onnx[spelling]
    defaults = entry.onnx_defaults.get(spelling, {})

    def run(call: Call, *inputs: Any) -> Any:
        attrs = dict(defaults) | {renames.get(name, name): value for name, value in call.attrs.items()}
        options = {name: value for name, value in attrs.items() if name in parameters and name not in entry.slots}
        if len(inputs) > 1:
            inputs = aligned(call, *inputs)
            call.budget.broadcast(*inputs)
        return computed(function, *inputs, **options)

    return run


def aligned(call: Call, left: Any, right: Any) -> tuple[Any, Any]:
    """Two operands as torch broadcasts them: before version 7 `axis` says where the second one's shape begins."""
    axis = call.attr("axis")
    if call.opset < 7 and call.attr("broadcast") and axis is not None and right.dim() < left.dim():
        behind = left.dim() - axis % left.dim() - right.dim()
        right = right.reshape(tuple(right.shape) + (1,) * behind)
    return left, right


def computed(function: Any, *inputs: Any, **options: Any) -> Any:
    """The function on tensors, in int64 where torch cannot compute with their type."""
    kind = inputs[0].dtype
    if kind not in NARROW:
        return function(*inputs, **options)
    result = function(*(tensor.to(torch.int64) for tensor in inputs), **options)
    return result.to(kind) if result.dtype == torch.int64 else result


def _function(entry: Operator) -> tuple[Any, frozenset[str]] | None:
    for spelling, parameters in entry.torch.items():
        path = spelling.split(".")
        if spelling.endswith("_") or "Tensor" in path or "_C" in path:
            continue
        try:
            return functools.reduce(getattr, path[1:], torch), frozenset(parameters.split()) - {"inplace"}
        except AttributeError:
            continue
    return None
