"""From the way a forward pass failed to better inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from initadvisor.frontends.torch_module.failure import ForwardFailed
from initadvisor.frontends.torch_module.inputs import signature
from initadvisor.frontends.torch_module.inputs.containers import fields
from initadvisor.frontends.torch_module.inputs.edits import behind, exchanged, input_at
from initadvisor.frontends.torch_module.inputs.messages import placeholders, spelled_out
from initadvisor.frontends.torch_module.inputs.sizes import ranks, table_lengths, widths
from initadvisor.frontends.torch_module.inputs.trial import Trial, floats, tokens


def repairs(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """Yield changed inputs that the error asks for, the most specific first."""
    for repair in (
        placeholders,
        spelled_out,
        missing_arguments,
        absent_options,
        fields,
        widths,
        ranks,
        types,
        table_lengths,
        evaluation,
    ):
        yield from repair(module, trial, failed)


def missing_arguments(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`missing 2 required positional arguments: 'mask' and 'lengths'`."""
    text = failed.text
    if "missing" in text and "required" in text and "argument" in text and "forward() " in text:
        names = re.findall(r"'(\w+)'", text.split("argument", 1)[1])
        known = {a.name: a.hint for a in signature.required(module)}
        if names:
            yield trial.with_kwargs(**{n: signature.value_for(module, n, known.get(n, "")) for n in names})
    if "takes" in text and "positional argument" in text and len(trial.args) > 1:
        yield replace(trial, args=trial.args[:-1])


def absent_options(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`You have to specify either input_ids or inputs_embeds`; or an optional argument that is None after all."""
    accepted = signature.accepted(module)
    named = [n for n in re.findall(r"\b([a-z]\w+)\b", failed.text) if n in accepted and n not in trial.kwargs]
    if named and re.search(r"specify|provide|required|must be|expected|need|cannot both be None|None", failed.text):
        for name in dict.fromkeys(named):
            yield trial.with_kwargs(**{name: signature.value_for(module, name)})
        if len(named) > 1:
            yield trial.with_kwargs(**{n: signature.value_for(module, n) for n in named})
    if "NoneType" in failed.text or "not None" in failed.text:
        for name in failed.absent:
            if name in accepted and trial.kwargs.get(name) is None and name not in named:
                yield trial.with_kwargs(**{name: signature.value_for(module, name)})


def types(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """Indices are integers, signals are floats."""
    text = failed.text
    wants_indices = re.search(
        r"scalar types?: Long, ?Int|Expected tensor for argument #1 'indices'|tensors used as indices|"
        r"dtype int64 for index|one_hot is only applicable to index|index.*must be.*(int|long)|"
        r"Expected.*(Long|Int).*but got.*Float",
        text,
    )
    wants_floats = re.search(
        r"mean\(\): could not infer output dtype|not implemented for '(Long|Int)'|must have the same dtype|"
        r"expected (scalar type|m1 and m2).*(Float|Half)|[iI]nput type \((long int|Long)|only.*floating",
        text,
    )
    for position in range(len(failed.call.tensors) if failed.call else 0):
        source = behind(failed, position)
        own = input_at(trial, source[0]) if source is not None else None
        if source is None or own is None:
            continue
        if wants_indices and own.is_floating_point():
            shape = tuple(own.shape) if own.dim() <= 2 else tuple(own.shape[:1])
            yield exchanged(trial, source[0], tokens(*shape, high=2))
            yield exchanged(trial, source[0], tokens(2, 16, high=2))
        if wants_floats and not own.is_floating_point():
            yield exchanged(trial, source[0], floats(*own.shape))


def evaluation(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """In training mode some models want targets, and batch statistics need more than one element."""
    if module.training and not trial.evaluation and re.search(r"target|label|training|train", failed.text):
        yield replace(trial, evaluation=True)
