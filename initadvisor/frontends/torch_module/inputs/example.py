"""The caller's own example: a tensor, a tuple of arguments, a dict of keyword arguments, a batch, a data loader."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

import torch
from torch import nn

from initadvisor.frontends.torch_module.inputs.trial import Trial


def trials(module: nn.Module, example: Any) -> Iterator[Trial]:
    """Yield the ways in which an example can be meant, the most literal first."""
    if _is_loader(example):
        try:
            example = next(iter(example))
        except StopIteration:
            return
    if isinstance(example, Mapping):
        named = {k: v for k, v in example.items() if isinstance(k, str)}
        if len(named) == len(example):
            yield Trial((), dict(named), "example")
            accepted = _accepted(module, named)
            if accepted and len(accepted) < len(named):
                yield Trial((), accepted, "example", "only the arguments that forward takes")
        yield Trial((example,), {}, "example")
        return
    if isinstance(example, tuple | list) and not isinstance(example, nn.utils.rnn.PackedSequence):
        if len(example) == 2 and isinstance(example[1], Mapping) and isinstance(example[0], tuple | list):
            yield Trial(tuple(example[0]), dict(example[1]), "example")
        yield Trial(tuple(example), {}, "example")
        yield Trial((example,), {}, "example", "as one argument")
        for count in range(len(example) - 1, 0, -1):
            yield Trial(
                tuple(example[:count]), {}, "example", f"the first {count} of {len(example)}: the rest as targets"
            )
        return
    yield Trial((example,), {}, "example")


def _is_loader(example: Any) -> bool:
    if isinstance(example, torch.Tensor | Mapping | str | bytes | tuple | list | nn.Module):
        return False
    return isinstance(example, torch.utils.data.DataLoader) or (
        isinstance(example, Iterable)
        and (isinstance(example, Iterator) or (isinstance(example, Sized) and hasattr(example, "dataset")))
    )


def _accepted(module: nn.Module, named: Mapping[str, Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return {}
    return {k: v for k, v in named.items() if k in parameters}
