"""Changes of type."""

from __future__ import annotations

from typing import Any

import torch

from initadvisor.errors import UnsupportedError
from initadvisor.probe.onnx_torch.registry import Call, implements
from initadvisor.probe.onnx_torch.types import TORCH_TYPES

BELOW_A_BYTE = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}
"""Integer types that are held in bytes: their smallest and largest number."""

SMALL_FLOATS = frozenset({torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz})
"""Eight-bit floats: torch stores them and does not compute with them."""


@implements("Cast")
def cast(call: Call, x: Any) -> Any:
    """To a type by its number, by its name before version 6."""
    target = call.attr("to")
    kind = TORCH_TYPES.get(str(target).lower() if isinstance(target, str) else target)
    if kind is None:
        raise UnsupportedError(f"a cast to tensor type {target}, which torch does not compute with")
    return to_type(x, kind, bool(call.attr("saturate", 1)))


@implements("CastLike")
def cast_like(call: Call, x: Any, like: Any) -> Any:
    """To the type of another tensor."""
    if call.code_type in BELOW_A_BYTE:
        raise UnsupportedError(f"a cast to {call.code_type}, which torch does not compute with")
    return to_type(x, like.dtype, bool(call.attr("saturate", 1)))


@implements("BitCast")
def bit_cast(call: Call, x: Any) -> Any:
    """The same bits as another type of that width."""
    kind = TORCH_TYPES.get(call.attr("to"))
    if kind is None:
        raise UnsupportedError(f"a cast to tensor type {call.attr('to')}, which torch does not compute with")
    return x.view(kind)


def to_type(x: Any, kind: Any, saturate: bool = True) -> Any:
    """A tensor in another type; finite numbers beyond an eight-bit float become its largest with `saturate`."""
    if kind in SMALL_FLOATS:
        x = x.to(torch.float32) if x.dtype != torch.float64 else x
        if saturate:
            largest = torch.finfo(kind).max
            x = torch.clamp(x, -largest, largest)
    return x.to(kind)
