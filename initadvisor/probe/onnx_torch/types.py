"""Tensor types of ONNX and torch, and stored tensors as torch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from initadvisor.errors import FormatError
from initadvisor.frontends.onnx_model.tensors import DTYPES, Tensor
from initadvisor.frontends.onnx_model.text import shown
from initadvisor.frontends.storage_types import STORAGE_TYPES
from initadvisor.probe.onnx_torch.limits import Budget

_SAME = {name: getattr(torch, name) for name in DTYPES.values() if isinstance(getattr(torch, name, None), torch.dtype)}
_UNPACKED = {"int4": torch.int8, "uint4": torch.uint8, "int2": torch.int8, "uint2": torch.uint8}
"""Types below a byte: their numbers are held in the next type that torch computes with."""

TORCH_TYPES: dict[Any, Any] = {code: _SAME[name] for code, name in DTYPES.items() if name in _SAME and code not in (8,)}
"""TensorProto.DataType, and its lower-case name, to torch's type."""

for _name in ("uint4", "int4", "uint2", "int2", "float4_e2m1fn", "float8_e8m0fnu"):
    for _code in [code for code, name in DTYPES.items() if name == _name]:
        TORCH_TYPES.pop(_code, None)
TORCH_TYPES |= {DTYPES[code]: kind for code, kind in TORCH_TYPES.items() if isinstance(code, int)}
TORCH_TYPES |= {"float": torch.float32, "double": torch.float64}

ONNX_TYPES: dict[Any, int] = {kind: code for code, kind in TORCH_TYPES.items() if isinstance(code, int)}
"""The other way round."""


def to_torch(tensor: Tensor, budget: Budget) -> Any:
    """A stored tensor as a torch tensor of its own; raises FormatError where torch has no such type."""
    kind = _SAME.get(tensor.dtype) if tensor.dtype not in _UNPACKED else _UNPACKED[tensor.dtype]
    if tensor.fill is not None and kind is not None:
        budget.allow(tensor.shape, kind.itemsize)  # what is stored is no larger than the file that holds it
        return torch.full(tensor.shape, tensor.fill, dtype=kind)
    if kind is None or tensor.dtype not in STORAGE_TYPES:
        raise FormatError(f"tensor {shown(tensor.name)} holds {tensor.dtype}, which torch does not compute with")
    storage = STORAGE_TYPES[tensor.dtype]
    if tensor.stored is None or storage.packed or tensor.made is not None:
        return _streamed(tensor, kind)
    raw = tensor.stored().view(np.uint8)
    width = storage.bits // 8
    whole = np.array(raw, copy=True) if raw.size else np.empty(0, np.uint8)
    if tensor.dtype == "bool":
        return torch.from_numpy(whole).reshape(tensor.shape) != 0
    flat = torch.from_numpy(whole)
    flat = flat.view(kind) if width > 1 or kind != torch.uint8 else flat
    return flat.reshape(tensor.shape)


def _streamed(tensor: Tensor, kind: Any) -> Any:
    """A tensor whose elements are computed while they are read: packed or quantized ones."""
    source = tensor.source()
    if source is None:
        raise FormatError(f"the elements of tensor {shown(tensor.name)} cannot be read")
    chunks = [torch.from_numpy(np.array(chunk)) for chunk in source.chunks(1 << 20)]
    flat = torch.cat(chunks) if chunks else torch.empty(0)
    return flat.to(kind).reshape(tensor.shape)
