"""Walking nested arguments and results for the tensors in them."""

from __future__ import annotations

import copy
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


def labelled(tree: Any, label: str, depth: int = 0) -> list[tuple[str, torch.Tensor]]:
    """Every tensor with the path that leads to it: `input`, `input.x`, `input.0`."""
    if isinstance(tree, torch.Tensor):
        return [(label, tree)]
    if isinstance(tree, PackedSequence):
        return [(label, tree.data)]
    return [found for key, item in _children(tree, depth) for found in labelled(item, f"{label}.{key}", depth + 1)]


def replaced(tree: Any, label: str, path: str, tensor: torch.Tensor) -> Any:
    """The same structure with the tensor at one path exchanged."""
    if label == path:
        return tensor
    if not path.startswith(f"{label}."):
        return tree
    if isinstance(tree, PackedSequence):
        return tree
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(replaced(item, f"{label}.{i}", path, tensor) for i, item in enumerate(tree)))
    if type(tree) in (tuple, list):
        return type(tree)(replaced(item, f"{label}.{i}", path, tensor) for i, item in enumerate(tree))
    if isinstance(tree, dict):
        changed = copy.copy(tree)
        changed.update({key: replaced(item, f"{label}.{key}", path, tensor) for key, item in tree.items()})
        return changed
    if isinstance(getattr(tree, "__dict__", None), dict):
        changed = copy.copy(tree)
        for key, item in vars(tree).items():
            object.__setattr__(changed, key, replaced(item, f"{label}.{key}", path, tensor))
        return changed
    return tree


def _children(tree: Any, depth: int) -> list[tuple[Any, Any]]:
    if depth > _DEEPEST or tree is None or isinstance(tree, str | bytes | int | float | torch.nn.Module | type):
        return []
    if isinstance(tree, Mapping):
        return list(tree.items())
    if isinstance(tree, tuple | list):
        return list(enumerate(tree))
    return list(vars(tree).items()) if isinstance(getattr(tree, "__dict__", None), dict) and depth < 3 else []
