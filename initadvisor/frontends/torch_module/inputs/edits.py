"""Changing one input of a trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from initadvisor.frontends.torch_module.failure import ForwardFailed
from initadvisor.frontends.torch_module.inputs.trial import Trial, floats, tokens
from initadvisor.frontends.torch_module.trees import labelled, replaced


def behind(failed: ForwardFailed, position: int) -> tuple[str, list[str]] | None:
    """The input that an argument of the failed operator comes from, and the operators on the way."""
    if failed.call is None or position >= len(failed.call.tensors):
        return None
    return failed.inputs_behind(failed.call.tensors[position][2])


def input_at(trial: Trial, name: str) -> torch.Tensor | None:
    """The input tensor of a path such as `input.x`, or None."""
    for label, value in arguments(trial):
        for path, tensor in labelled(value, label):
            if path == name:
                return tensor
    return None


def arguments(trial: Trial) -> Iterator[tuple[str, Any]]:
    """Every argument with the label that a recording gives it."""
    for position, value in enumerate(trial.args):
        yield f"input{position}" if position else "input", value
    yield from trial.kwargs.items()


def exchanged(trial: Trial, name: str, tensor: torch.Tensor) -> Trial:
    """The trial with the tensor at one path exchanged."""
    args = tuple(replaced(a, f"input{i}" if i else "input", name, tensor) for i, a in enumerate(trial.args))
    kwargs = {k: replaced(v, k, name, tensor) for k, v in trial.kwargs.items()}
    return replace(trial, args=args, kwargs=kwargs)


def resized(tensor: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    """A tensor with another size along one axis."""
    shape = list(tensor.shape)
    shape[axis] = size
    return like(tensor, shape)


def scaled(tensor: torch.Tensor, size: int) -> torch.Tensor:
    """The last axis at a size, the others of the same length with it."""
    last = tensor.shape[-1]
    return like(tensor, [size if i >= 2 and d == last else d for i, d in enumerate(tensor.shape)])


def of_rank(tensor: torch.Tensor, rank: int) -> torch.Tensor:
    """A tensor with axes taken out or put in until it has so many."""
    shape = list(tensor.shape)
    while len(shape) > rank:
        shape.pop(2 if len(shape) > 2 and rank >= 2 else -1)
    while len(shape) < rank:
        shape.insert(1 if rank - len(shape) > 1 or len(shape) < 2 else len(shape), 16)
    return like(tensor, shape)


def like(tensor: torch.Tensor, shape: list[int]) -> torch.Tensor:
    """A tensor of the same kind (signal or indices) and another shape."""
    if tensor.is_floating_point():
        return floats(*shape, dtype=tensor.dtype)
    return tokens(*shape, high=2).to(tensor.dtype)
