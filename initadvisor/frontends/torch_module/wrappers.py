"""Modules that wrap another one for speed or scale: what they wrap is what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

_HOLDERS = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}
"""Wrapping class -> the attribute that holds what it wraps."""


def unwrap(module: torch.nn.Module) -> torch.nn.Module:
    """The model inside `torch.compile`, `DataParallel` and `DistributedDataParallel`; else the module itself."""
    while True:
        inner = wrapped(module)
        if inner is None:
            return module
        module = inner


def wrapped(module: torch.nn.Module) -> torch.nn.Module | None:
    """What a wrapper holds, or None where the module is no wrapper."""
    holder = _HOLDERS.get(type(module).__name__)
    if holder is None or not type(module).__module__.startswith("torch."):
        return None
    inner = module._modules.get(holder)
    return inner if inner is not None else getattr(module, holder, None)


def callable_of(original: Callable[..., Any], module: torch.nn.Module) -> Any:
    """How to call a module eagerly: wrappers call what they hold, compiled modules their own code."""
    inner = wrapped(module)
    if inner is not None:
        return inner
    if getattr(module, "_compiled_call_impl", None) is not None:
        return module._call_impl
    return partial(original, module)


def without_sharding(module: torch.nn.Module) -> None:
    """Take the hooks of `fully_shard` off: a recording gathers no weights. The state guard puts them back."""
    for part in module.modules():
        for hooks in (part._forward_pre_hooks, part._forward_hooks):
            for key, hook in list(hooks.items()):
                owner = getattr(hook, "__self__", hook)
                home = getattr(type(owner) if owner is not hook else owner, "__module__", "") or ""
                if home.startswith("torch.distributed.fsdp"):
                    del hooks[key]
