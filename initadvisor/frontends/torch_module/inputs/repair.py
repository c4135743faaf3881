"""From the way a forward pass failed to better inputs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from initadvisor.frontends.torch_module.failure import ForwardFailed
from initadvisor.frontends.torch_module.inputs import huggingface, signature
from initadvisor.frontends.torch_module.inputs.containers import fields
from initadvisor.frontends.torch_module.inputs.edits import arguments, behind, exchanged, input_at, resized, scaled
from initadvisor.frontends.torch_module.inputs.messages import placeholders, spelled_out
from initadvisor.frontends.torch_module.inputs.sizes import LARGEST, ranks, table_lengths, widths
from initadvisor.frontends.torch_module.inputs.trial import NO_GUESS, Trial, floats, tokens


def repairs(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """Yield changed inputs that the error asks for, the most specific first."""
    for repair in (
        placeholders,
        spelled_out,
        told_size,
        too_small,
        multiples,
        missing_arguments,
        absent_options,
        single,
        caches,
        masks,
        fields,
        widths,
        ranks,
        types,
        table_lengths,
        evaluation,
    ):
        with contextlib.suppress(*NO_GUESS):
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
    if named and re.search(r"specify|provide|required|must be|expected|need|missing|pass|None", failed.text):
        for name in dict.fromkeys(named):
            yield trial.with_kwargs(**{name: _fitted(module, trial, name)})
        if len(named) > 1:
            yield trial.with_kwargs(**{n: _fitted(module, trial, n) for n in named})
    if "NoneType" in failed.text or "not None" in failed.text:
        for name in failed.absent:
            if name in accepted and trial.kwargs.get(name) is None and name not in named:
                yield trial.with_kwargs(**{name: _fitted(module, trial, name)})
        needed = {a.name for a in signature.required(module)}
        for name in reversed(list(trial.kwargs)):  # a part that this model does not have was fed
            if name not in needed and len(trial.kwargs) > 1:
                yield replace(trial, kwargs={k: v for k, v in trial.kwargs.items() if k != name})


def single(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`Cannot handle batch sizes > 1 if no padding token is defined`: a batch of one."""
    if re.search(r"batch[ _]?sizes?\W*(> ?1|!= ?1|greater than|larger than|must be 1)", failed.text, re.IGNORECASE):
        tensors = [v for _, v in arguments(trial) if isinstance(v, torch.Tensor) and v.dim() > 1]
        batch = tensors[0].shape[0] if tensors else 1
        kwargs = {k: _first(v, batch) for k, v in trial.kwargs.items()}
        yield replace(trial, args=tuple(_first(v, batch) for v in trial.args), kwargs=kwargs)


def _first(value: Any, batch: int) -> Any:
    return value[:1] if isinstance(value, torch.Tensor) and value.dim() and value.shape[0] == batch > 1 else value


def caches(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """Something about a cache of keys and values: do without one."""
    named = trial.args or "use_cache" in trial.kwargs or not re.search("cache|past_key", failed.text, re.IGNORECASE)
    if not named and huggingface.is_model(module):
        yield trial.with_kwargs(use_cache=False)


def masks(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """A mask `frames_mask` of another length than any axis of `frames`."""
    if not re.search("shape|size|dimension|length", failed.text):
        return
    for name, mask in trial.kwargs.items():
        owner = trial.kwargs.get(re.sub("_(attention_|padding_)?mask$", "", name))
        if (
            not isinstance(owner, torch.Tensor)
            or owner is mask
            or not isinstance(mask, torch.Tensor)
            or mask.dim() != 2
        ):
            continue
        for size in dict.fromkeys(owner.shape[1:]) if mask.shape[1] not in owner.shape[1:] else ():
            if size <= LARGEST:
                yield trial.with_kwargs(**{name: mask[:1, :1].expand(owner.shape[0], size).contiguous()})


def _fitted(module: nn.Module, trial: Trial, name: str) -> Any:
    """A value for one more argument, as long as the tokens that are already there."""
    value = signature.value_for(module, name)
    ids = trial.kwargs.get("input_ids")
    if not isinstance(ids, torch.Tensor) or not isinstance(value, torch.Tensor) or not huggingface.is_model(module):
        return value
    if name == "mm_token_type_ids":
        token = huggingface.Maker(module).placeholder("image")
        return (ids == token).long() if token is not None else torch.zeros_like(ids)
    if value.dim() == 2 and value.shape == (huggingface.BATCH, huggingface.LENGTH) and not value.is_floating_point():
        return value[:1, :1].expand(ids.shape).contiguous() if name != "position_ids" else _positions(ids)
    return value


def _positions(ids: torch.Tensor) -> torch.Tensor:
    return torch.arange(ids.shape[-1]).expand(ids.shape).contiguous()


def too_small(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`Image size 224x224 is too small`: twice the size, and four times."""
    if not re.search(r"too small|at least|smaller than|can't be greater than actual input", failed.text):
        return
    for label, value in arguments(trial):
        if isinstance(value, torch.Tensor) and value.dim() in (3, 4, 5) and value.is_floating_point():
            for factor in (2, 4, 8):
                if value.shape[-1] * factor <= LARGEST:
                    yield exchanged(trial, label, scaled(value, value.shape[-1] * factor))


def multiples(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`length 1 is not a multiple of 1920`, `must be divisible by 32`: the next such size."""
    match = re.search(r"(?:multiple of|divisible by)(?:[^()]{0,40}\((\d+)\)|\D{0,40}?(\d+))", failed.text)
    unit = int(match.group(1) or match.group(2)) if match is not None else 0
    if not 1 < unit <= LARGEST:
        return
    got = re.search(r"(?:got|length|is) (\d+)", failed.text)
    for label, value in arguments(trial):
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.dim() < 2:
            continue
        named = [i for i, size in enumerate(value.shape) if got is not None and size == int(got.group(1))]
        for axis in dict.fromkeys((*(i - value.dim() for i in named), -1, 1 - value.dim())):
            size = -(-value.shape[axis] // unit) * unit
            if value.dim() >= 4 and axis in (-1, -2):
                yield exchanged(trial, label, scaled(value, size))
            elif size != value.shape[axis]:
                yield exchanged(trial, label, resized(value, axis, size))


def told_size(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`Input height (224) doesn't match model (336)`, `Input image size (448*224) doesn't match model (224*224)`."""
    match = re.search(r"[^\d(]\((\d+)\D?(\d+)?\) (?:doesn't|does not) match\D*\((\d+)\D?(\d+)?", failed.text)
    if match is None:
        return
    got, wanted = (int(match.group(g)) for g in (1, 3))
    for label, value in arguments(trial):
        if not isinstance(value, torch.Tensor) or value.dim() < 4 or not value.is_floating_point():
            continue
        if got in value.shape[-2:]:
            yield exchanged(trial, label, scaled(value, wanted))
    if match.group(2) and match.group(4):  # several images were put together on the way
        rows, columns = wanted / got, int(match.group(4)) / int(match.group(2))
        kwargs, args = ({k: _stretched(v, rows, columns) for k, v in trial.kwargs.items()}, trial.args)
        yield replace(trial, args=tuple(_stretched(v, rows, columns) for v in args), kwargs=kwargs)


def _stretched(value: Any, rows: float, columns: float) -> Any:
    """An image of other proportions, and anything else as it is."""
    if not isinstance(value, torch.Tensor) or value.dim() < 4 or not value.is_floating_point():
        return value
    height, width = round(value.shape[-2] * rows), round(value.shape[-1] * columns)
    return floats(*value.shape[:-2], max(height, 1), max(width, 1), dtype=value.dtype)


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
