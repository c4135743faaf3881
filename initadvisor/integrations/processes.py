"""Several processes of one training: the first one looks and tells, all go the same way."""

from __future__ import annotations

import torch
import torch.distributed as dist

from initadvisor.probe.shards import is_sharded


def world_size() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that reports."""
    return world_size() == 1 or dist.get_rank() == 0


def told_by_first(text: str) -> str:
    """The first process's text, on all of them; every process has to call this."""
    if world_size() == 1:
        return text
    shared = [text]
    dist.broadcast_object_list(shared, src=0)
    return shared[0]


def why_not_alone(module: torch.nn.Module) -> str:
    """Why one process cannot run the model while the others wait; "" where it can."""
    if world_size() == 1:
        return ""
    if any(is_sharded(p) for p in module.parameters()):
        return "its parameters are sharded: call initadvisor.probe on every rank instead"
    if any(isinstance(part, torch.nn.SyncBatchNorm) for part in module.modules()):
        return "its synchronised batch norms wait for the other processes"
    return ""
