"""Lazy modules: their parameters get a shape in a copy of the model, which leaves the model itself uninitialised."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]


def is_lazy(module: torch.nn.Module) -> bool:
    """Whether some parameter or buffer has no shape yet."""
    return any(
        isinstance(tensor, UninitializedTensorMixin)
        for part in module.modules()
        for table in (part._parameters, part._buffers)
        for tensor in table.values()
    )


def shapeable(module: torch.nn.Module) -> torch.nn.Module:
    """The module, or for a lazy one a copy that shares every tensor that has a shape already."""
    if not is_lazy(module):
        return module
    memo: dict[int, torch.Tensor] = {}
    for part in module.modules():
        for table in (part._parameters, part._buffers):
            for tensor in table.values():
                if isinstance(tensor, UninitializedTensorMixin):
                    memo[id(tensor)] = type(tensor)(device="cpu", dtype=tensor.data.dtype)  # type: ignore[call-arg]
                elif tensor is not None:
                    memo[id(tensor)] = tensor
    return copy.deepcopy(module, memo)


def infer(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Give a lazy module its shapes from the inputs of its first call; True where there was something to give."""
    if not isinstance(module, LazyModuleMixin) or not module.has_uninitialized_params():
        return False
    with torch._C.DisableTorchFunction():
        module._infer_parameters(module, args, kwargs)
    return True
