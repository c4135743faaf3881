"""Walking nested arguments and results for the tensors in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

_DEEPEST = 12
"""Levels of nesting that are searched: a structure that refers to itself must end somewhere."""


def map_tensors(function: Callable[[torch.Tensor], torch.Tensor], tree: Any) -> Any:
    """The same tuples, lists and dicts with the function applied to every tensor; untouched ones are kept."""
    kind = type(tree)
    if isinstance(tree, torch.Tensor):
        return function(tree)
    if kind is tuple or kind is list:
        mapped = [map_tensors(function, item) for item in tree]
        if all(a is b for a, b in zip(mapped, tree, strict=True)):
            return tree
        return mapped if kind is list else tuple(mapped)
    if kind is dict:
        return {key: map_tensors(function, item) for key, item in tree.items()}
    if kind is slice:
        ends = [map_tensors(function, e) for e in (tree.start, tree.stop, tree.step)]
        return slice(*ends)
    if isinstance(tree, tuple):  # named tuples and torch.return_types
        mapped = [map_tensors(function, item) for item in tree]
        if all(a is b for a, b in zip(mapped, tree, strict=True)):
            return tree
        return kind(*mapped) if hasattr(tree, "_fields") else kind(mapped)
    return tree


def leaves(tree: Any, depth: int = 0) -> list[torch.Tensor]:
    """Every tensor in nested tuples, lists, dicts, dataclasses, packed sequences and plain objects."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if tree is None or isinstance(tree, str | bytes | int | float | torch.Size | torch.nn.Module | type):
        return []
    if depth > _DEEPEST:
        return []
    if isinstance(tree, PackedSequence):
        return [tree.data]
    if isinstance(tree, tuple | list | set | frozenset):
        return [t for item in tree for t in leaves(item, depth + 1)]
    if isinstance(tree, Mapping):
        return [t for item in tree.values() for t in leaves(item, depth + 1)]
    if dataclasses.is_dataclass(tree):
        return [t for field in dataclasses.fields(tree) for t in leaves(getattr(tree, field.name, None), depth + 1)]
    if depth and depth < 3 and isinstance(getattr(tree, "__dict__", None), dict):
        return [t for item in vars(tree).values() for t in leaves(item, depth + 1)]
    return []
