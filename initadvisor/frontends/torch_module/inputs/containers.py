"""Inputs that are not plain tensors: dicts, tuples, objects with attributes, grown by what the model asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from initadvisor.frontends.torch_module.failure import ForwardFailed
from initadvisor.frontends.torch_module.inputs import signature
from initadvisor.frontends.torch_module.inputs.edits import arguments, exchanged, like, of_rank
from initadvisor.frontends.torch_module.inputs.trial import Trial


def fields(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`KeyError: 'image'`, or a tensor asked for an attribute: the model wants a dict, a list or an object."""
    text = failed.text
    first = trial.args[0] if trial.args else None
    key = re.match(r"KeyError: '(\w+)'", text)
    if key is not None and isinstance(first, dict):
        value = signature.value_for(module, key.group(1))
        yield replace(trial, args=({**first, key.group(1): value}, *trial.args[1:]), note="a dict")
    elif isinstance(first, torch.Tensor) and re.search(
        r"(indices must be integers|only integers, slices|invalid literal|has no attribute '(keys|items|values)'|"
        r"too many indices|new\(\): invalid data type 'str'|index.*str)",
        text,
    ):
        yield replace(trial, args=(_Fields({}), *trial.args[1:]), note="a dict")
    elif key is not None and not trial.args:
        yield trial.with_kwargs(**{key.group(1): signature.value_for(module, key.group(1))})
    attribute = re.search(r"'(Tensor|_Fields|_Record)' object has no attribute '(\w+)'", text)
    if attribute is not None and trial.args and attribute.group(2) not in ("keys", "items", "values"):
        fields = dict(vars(first)) if isinstance(first, _Record) else {}
        fields[attribute.group(2)] = signature.value_for(module, attribute.group(2))
        yield replace(trial, args=(_Record(**fields), *trial.args[1:]), note="an object with attributes")
    unpack = re.search(r"(?:not enough|too many) values to unpack \(expected (\d+)", text)
    short = re.search(r"not enough values to unpack \(expected (\d+), got (\d+)\)", text)
    if short is not None:
        for label, value in arguments(trial):
            lacking = int(short.group(1)) - int(short.group(2))
            if (
                isinstance(value, torch.Tensor)
                and value.is_floating_point()
                and 0 < lacking < 3
                and value.dim() + lacking <= 6
            ):
                yield exchanged(trial, label, like(value, [value.shape[0], *[1] * lacking, *value.shape[1:]]))
    if unpack is not None and isinstance(first, torch.Tensor):
        count = int(unpack.group(1))
        yield replace(trial, args=(tuple(first for _ in range(count)), *trial.args[1:]), note="a tuple")
        if 2 <= count <= 5 and count != first.dim():
            yield replace(trial, args=(of_rank(first, count), *trial.args[1:]))


_MOST_AXES = 6
"""Axes that an input may grow to: the message may be about another value."""


class _Fields(dict[str, Any]):
    """A dict of inputs that grows by the keys that the model asks for."""


class _Record:
    """An object with the attributes that the model asks for (a graph batch, a config-like input)."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)
