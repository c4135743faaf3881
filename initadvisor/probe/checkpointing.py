"""Activation checkpointing for a model that does not know it: each block of its longest lists is run twice."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

SMALLEST = 2
"""Blocks from which a container is worth it."""


def blocks(module: torch.nn.Module) -> list[torch.nn.Module]:
    """The members of the outermost `Sequential`s and `ModuleList`s with parameters; nothing inside one of them."""
    found: list[torch.nn.Module] = []
    inside: set[int] = set()
    for part in module.modules():
        if id(part) in inside or not isinstance(part, torch.nn.Sequential | torch.nn.ModuleList):
            continue
        members = [m for m in part.children() if any(True for _ in m.parameters())]
        if len(members) >= SMALLEST:
            found += members
            inside.update(id(inner) for member in members for inner in member.modules())
    return found


@contextmanager
def checkpointed(module: torch.nn.Module) -> Iterator[int]:
    """Run the blocks of a module with their activations thrown away and recomputed; yields how many there are."""
    changed = blocks(module)
    for block in changed:
        block.forward = _twice(block.forward)  # type: ignore[method-assign]
    try:
        yield len(changed)
    finally:
        for block in changed:
            vars(block).pop("forward", None)


def _twice(forward: Any) -> Any:
    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return run
