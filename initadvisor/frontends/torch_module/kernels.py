"""Carrying an operator out on stand-ins; where the meta device cannot, on small real tensors of the same shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from initadvisor.frontends.torch_module.sites import site
from initadvisor.frontends.torch_module.trees import leaves, map_tensors

if TYPE_CHECKING:
    from initadvisor.frontends.torch_module.recorder import Recorder

MATERIAL_LIMIT = 1 << 25
"""Elements in all arguments together up to which an operator without a meta kernel runs on real numbers."""


def compute(recorder: Recorder, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The result of a call; floats of a call that had to run on made-up numbers come back virtual."""
    try:
        return func(*args, **kwargs)
    except (NotImplementedError, RuntimeError, TypeError) as error:
        tensors = leaves((args, kwargs))
        virtual = [t for t in tensors if t.is_meta]
        if not virtual or sum(t.numel() for t in tensors) > MATERIAL_LIMIT:
            raise
        try:
            return on_real_numbers(recorder, func, args, kwargs)
        except (NotImplementedError, RuntimeError, TypeError, ValueError, IndexError):
            raise error from None


def on_real_numbers(recorder: Recorder, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run a call on made-up numbers and note it; integers it returns stay real, as plausible sizes and indices."""
    real: dict[int, torch.Tensor] = {}

    def fill(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_meta:
            return tensor
        return real.setdefault(id(tensor), material(tensor))

    result = func(*map_tensors(fill, args), **map_tensors(fill, kwargs))
    name = getattr(func, "__name__", str(func))
    recorder.tape.event("kernel", f"{name} has no shape rule: its result was computed on made-up numbers", site(3))
    back = {id(r): t for t in leaves((args, kwargs)) for r in (real.get(id(t)),) if r is not None}

    def virtual(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) in back:
            return back[id(tensor)]
        if tensor.layout != torch.strided or tensor.is_nested:
            return tensor
        return tensor.to("meta") if tensor.is_floating_point() or tensor.is_complex() else tensor

    return map_tensors(virtual, result)


def material(tensor: torch.Tensor) -> torch.Tensor:
    """Made-up numbers for a virtual tensor: normal floats, half of a mask set, ones for integers."""
    shape = tuple(tensor.shape)
    if tensor.dtype == torch.bool:
        flat = torch.arange(tensor.numel()) % 2 == 0
        return flat.reshape(shape)
    if tensor.is_floating_point() or tensor.is_complex():
        generator = torch.Generator().manual_seed(0)
        wide = torch.complex64 if tensor.is_complex() else torch.float32
        return torch.randn(shape, generator=generator, dtype=wide).to(tensor.dtype)
    return torch.ones(shape, dtype=tensor.dtype)
