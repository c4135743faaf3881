"""Carrying an operator out on stand-ins; where the meta device cannot, on small real tensors of the same shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from initadvisor.frontends.torch_module.binding import bind
from initadvisor.frontends.torch_module.geometry import unwrapped
from initadvisor.frontends.torch_module.shape_rules import RULES, told
from initadvisor.frontends.torch_module.shape_tuples import RULES as TUPLES
from initadvisor.frontends.torch_module.sites import site
from initadvisor.frontends.torch_module.trees import leaves, map_tensors

if TYPE_CHECKING:
    from initadvisor.frontends.torch_module.recorder import Recorder
    from initadvisor.frontends.torch_module.spellings import Spelling

MATERIAL_LIMIT = 1 << 25
"""Elements in all arguments together up to which an operator without a meta kernel runs on real numbers."""


def compute(
    recorder: Recorder, call: Spelling, func: Any, args: Any, kwargs: dict[str, Any], tensors: Sequence[torch.Tensor]
) -> Any:
    """The result of a call; floats of a call that had to run on made-up numbers come back virtual."""
    result = _told(call, args, kwargs, tensors)
    if result is not None:
        return result
    try:
        return func(*args, **kwargs)
    except (NotImplementedError, RuntimeError, TypeError) as error:
        if "item() cannot be called on meta" in str(error):
            try:
                return func(*_with_integers(recorder, args), **_with_integers(recorder, kwargs))
            except (NotImplementedError, RuntimeError, TypeError):
                pass
        virtual = [t for t in tensors if t.is_meta]
        if not virtual or sum(t.numel() for t in tensors) > MATERIAL_LIMIT:
            raise
        try:
            return on_real_numbers(recorder, func, args, kwargs)
        except (NotImplementedError, RuntimeError, TypeError, ValueError, IndexError):
            raise error from None


def _told(call: Spelling, args: Any, kwargs: dict[str, Any], tensors: Sequence[torch.Tensor]) -> Any:
    """The result by a shape rule, or None: torch has to carry the call out."""
    entry = call.operator
    if (
        entry is None
        or not (entry.name in RULES or entry.name in TUPLES)
        or torch.is_grad_enabled()
        or call.name in _SEVERAL_RESULTS
    ):
        return None
    if not tensors or not all(t.is_meta and t.layout is torch.strided and unwrapped(t) is None for t in tensors):
        return None
    if kwargs.get("out") is not None:
        return None
    items, attrs = bind(call, args, kwargs)
    attrs["rank"] = next((int(c) for c in reversed(call.name) if c in "123"), 0)
    try:
        if entry.name in TUPLES:
            return TUPLES[entry.name](items, {**attrs, "op": entry.name})
        found = told(entry.name, items, attrs)
    except (TypeError, AttributeError, IndexError, ValueError):
        return None
    if found is None:
        return None
    shape, dtype = found
    if call.inplace or kwargs.get("inplace") or attrs.get("inplace"):
        return items[0] if tuple(items[0].shape) == shape else None
    return torch.empty(shape, dtype=dtype, device="meta")


_SEVERAL_RESULTS = frozenset(
    {"native_layer_norm", "native_group_norm", "native_batch_norm", "native_dropout", "_native_batch_norm_legit"}
    | {f"max_pool{n}d_with_indices" for n in (1, 2, 3)}
)
"""Spellings of operators that return more than their result."""


def _with_integers(recorder: Recorder, tree: Any) -> Any:
    """The same arguments with tensors that stand for a size or an amount turned into plain integers."""

    def plain(tensor: torch.Tensor) -> Any:
        if tensor.dim() or tensor.is_floating_point() or tensor.dtype == torch.bool:
            return tensor
        known = recorder.twins.numbers(tensor) if tensor.is_meta else tensor
        return 1 if known is None else int(known)

    return map_tensors(plain, tree)


def on_real_numbers(recorder: Recorder, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run a call on made-up numbers and note it; integers it returns stay real, as plausible sizes and indices."""
    real: dict[int, torch.Tensor] = {}

    def fill(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_meta:
            return tensor
        if id(tensor) not in real:
            known = recorder.twins.numbers(tensor)
            real[id(tensor)] = material(tensor) if known is None else known
        return real[id(tensor)]

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
