"""From the way a forward pass failed to better inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isqrt
from typing import Any

import torch
from torch import nn

from initadvisor.frontends.torch_module.failure import ForwardFailed
from initadvisor.frontends.torch_module.inputs import signature
from initadvisor.frontends.torch_module.inputs.trial import Trial, floats, tokens

Repair = Callable[[nn.Module, Trial, ForwardFailed], Iterator[Trial]]


def repairs(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """Yield changed inputs that the error asks for, the most specific first."""
    for repair in (
        _missing_arguments,
        _absent_options,
        _more_fields,
        _widths,
        _rank,
        _types,
        _length_of_a_table,
        _evaluation,
    ):
        yield from repair(module, trial, failed)


def _missing_arguments(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`missing 2 required positional arguments: 'mask' and 'lengths'`."""
    text = failed.text
    if "missing" in text and "required" in text and "argument" in text and "forward() " in text:
        names = re.findall(r"'(\w+)'", text.split("argument", 1)[1])
        known = {a.name: a.hint for a in signature.required(module)}
        if names:
            yield trial.with_kwargs(**{n: signature.value_for(module, n, known.get(n, "")) for n in names})
    if "takes" in text and "positional argument" in text and len(trial.args) > 1:
        yield replace(trial, args=trial.args[:-1])


def _absent_options(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
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


def _more_fields(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
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
    attribute = re.search(r"'(Tensor|_Record)' object has no attribute '(\w+)'", text)
    if attribute is not None and trial.args and attribute.group(2) not in ("keys", "items", "values"):
        fields = dict(vars(first)) if isinstance(first, _Record) else {}
        fields[attribute.group(2)] = signature.value_for(module, attribute.group(2))
        yield replace(trial, args=(_Record(**fields), *trial.args[1:]), note="an object with attributes")
    unpack = re.search(r"not enough values to unpack \(expected (\d+)", text) or re.search(
        r"too many values to unpack \(expected (\d+)", text
    )
    if unpack is not None and isinstance(first, torch.Tensor):
        count = int(unpack.group(1))
        yield replace(trial, args=(tuple(first for _ in range(count)), *trial.args[1:]), note="a tuple")
        if 2 <= count <= 5 and count != first.dim():
            yield replace(trial, args=(_of_rank(first, count), *trial.args[1:]))


def _widths(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """An operator was given another number of channels or features than its weight wants."""
    mismatch = _mismatch(failed)
    if mismatch is None:
        return
    value, axis, got, wanted = mismatch
    behind = failed.inputs_behind(value)
    own = _input(trial, behind[0]) if behind is not None else None
    if behind is None or own is None or got == wanted or got < 1:
        return
    name, ops = behind
    if not ops:
        yield _with(trial, name, _resized(own, axis % own.dim(), wanted))
        if axis == 1 and own.dim() > 2:
            yield _with(trial, name, _resized(own, own.dim() - 1, wanted))
        return
    for place in (*range(own.dim() - 1, 0, -1), 0):
        if own.shape[place] == got:
            yield _with(trial, name, _resized(own, place, wanted))
    if set(ops) <= _SHAPING:
        yield from _flattened(trial, name, own, wanted)
        for place in range(own.dim() - 1, 0, -1):
            if own.shape[place] * wanted % got == 0:
                yield _with(trial, name, _resized(own, place, own.shape[place] * wanted // got))
    elif own.dim() in (3, 4, 5):
        for ratio in ((wanted / got) ** 0.5, wanted / got):
            size = max(round(own.shape[-1] * ratio), 1)
            for near in (0, 1, -1, 2, -2, 4, -4, 8, -8):
                if size + near > 0:
                    yield _with(trial, name, _scaled(own, size + near))


_SHAPING = frozenset(
    {
        *("reshape", "flatten", "unflatten", "cast", "identity", "permute", "transpose", "unsqueeze", "squeeze"),
        *("div", "sub", "mul", "add", "getitem", "stack"),
    }
)
"""Operators that keep or only rearrange the elements of an input."""


def _flattened(trial: Trial, name: str, own: torch.Tensor, wanted: int) -> Iterator[Trial]:
    """Inputs of `wanted` elements a sample: square images first."""
    for count in dict.fromkeys((own.shape[1] if own.dim() == 4 else 1, 1, 3)):
        side = isqrt(wanted // count) if wanted % count == 0 else 0
        if side and side * side * count == wanted:
            yield _with(trial, name, floats(own.shape[0], count, side, side))
    yield _with(trial, name, floats(own.shape[0], wanted))


def _mismatch(failed: ForwardFailed) -> tuple[int | None, int, int, int] | None:
    """(value, axis, size it has, size it should have) of the argument that did not fit."""
    call = failed.call
    if call is None:
        return _mismatch_told(failed)
    shapes = [shape for shape, _, _ in call.tensors]
    values = [value for _, _, value in call.tensors]
    if call.op == "linear" and len(shapes) > 1 and shapes[0]:
        return values[0], -1, shapes[0][-1], shapes[1][-1]
    if call.op in ("conv", "conv_transpose") and len(shapes) > 1 and len(shapes[0]) == len(shapes[1]):
        wanted = shapes[1][1] * call.groups if call.op == "conv" else shapes[1][0]
        return values[0], 1, shapes[0][1], wanted
    if call.op == "matmul" and len(shapes) == 2 and shapes[0] and len(shapes[1]) > 1:
        return values[0], -1, shapes[0][-1], shapes[1][-2]
    if call.op == "addmm" and len(shapes) == 3 and len(shapes[2]) > 1:
        return values[1], -1, shapes[1][-1], shapes[2][-2]
    if call.op in ("layer_norm", "rms_norm") and len(shapes) > 1 and len(shapes[1]) == 1 and shapes[0]:
        return values[0], -1, shapes[0][-1], shapes[1][-1]
    if call.op in ("batch_norm", "instance_norm") and len(shapes) > 1 and len(shapes[0]) > 1:
        return values[0], 1, shapes[0][1], shapes[1][0]
    if call.op == "einsum" and len(shapes) == 2:
        return _einsum(failed, shapes, values)
    if call.op == "bilinear" and len(shapes) > 2:
        slot = 0 if shapes[0][-1] != shapes[2][1] else 1
        return values[slot], -1, shapes[slot][-1], shapes[2][1 + slot]
    return _mismatch_told(failed)


def _mismatch_told(failed: ForwardFailed) -> tuple[int | None, int, int, int] | None:
    """The same from the message of a check in Python code (recurrent layers, attention)."""
    for pattern in (
        r"input.size\(-1\) must be equal to input_size. Expected (?P<want>\d+), got (?P<got>\d+)",
        r"input has inconsistent input_size: got (?P<got>\d+) expected (?P<want>\d+)",
        r"was expecting embedding dimension of (?P<want>\d+), but got (?P<got>\d+)",
        r"(feature number|embed_dim|d_model)\D*(?P<got>\d+)\D+(?P<want>\d+)",
    ):
        match = re.search(pattern, failed.text)
        if match is not None:
            value = failed.call.tensors[0][2] if failed.call and failed.call.tensors else failed.last_value()
            return value, -1, int(match.group("got")), int(match.group("want"))
    return None


def _einsum(
    failed: ForwardFailed, shapes: list[tuple[int, ...]], values: list[int | None]
) -> tuple[int | None, int, int, int] | None:
    match = re.search(r"subscript \w has size (\d+) for operand 1 .* previously seen size (\d+)", failed.text)
    if match is None or int(match.group(2)) not in shapes[0]:
        return None
    return values[0], shapes[0].index(int(match.group(2))), int(match.group(2)), int(match.group(1))


def _rank(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`Expected 3D (unbatched) or 4D (batched) input`, `expected 2D or 3D input (got 4D input)`."""
    ranks = [int(r) for r in re.findall(r"(\d)-?[dD]\b", failed.text.split("got")[0])]
    ranks += [int(r) for r in re.findall(r"(?:must be|expected) (\d)-?(?:D|dim)", failed.text)]
    behind = _behind(failed, 0)
    own = _input(trial, behind[0]) if behind is not None else None
    if behind is None or own is None or not ranks or not re.search(r"[dD]imension|[dD]\b.*input|dim", failed.text):
        return
    for rank in dict.fromkeys(reversed(ranks)):
        if rank != own.dim() and 0 < rank <= 5:
            yield _with(trial, behind[0], _of_rank(own, rank))


def _types(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
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
        behind = _behind(failed, position)
        own = _input(trial, behind[0]) if behind is not None else None
        if behind is None or own is None:
            continue
        if wants_indices and own.is_floating_point():
            shape = tuple(own.shape) if own.dim() <= 2 else tuple(own.shape[:1])
            yield _with(trial, behind[0], tokens(*shape, high=2))
            yield _with(trial, behind[0], tokens(2, 16, high=2))
        if wants_floats and not own.is_floating_point():
            yield _with(trial, behind[0], floats(*own.shape))


def _length_of_a_table(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """A sum with a position table of another length: resize the input until the lengths agree."""
    call = failed.call
    if call is None or call.op not in ("add", "mul", "sub", "copy") or len(call.tensors) != 2:
        return
    (ours, _, value), (table, _, _) = call.tensors
    behind = failed.inputs_behind(value)
    own = _input(trial, behind[0]) if behind is not None else None
    pairs = [(a, b) for a, b in zip(reversed(ours), reversed(table), strict=False) if a != b and 1 not in (a, b)]
    if behind is None or own is None or not pairs:
        return
    got, wanted = pairs[0]
    for axis in range(1, own.dim()):
        if own.shape[axis] == got:
            yield _with(trial, behind[0], _resized(own, axis, wanted))
    if own.dim() == 4:
        for offset in (0, 1, 2):
            if got > offset and wanted > offset:
                ratio = ((wanted - offset) / (got - offset)) ** 0.5
                yield _with(trial, behind[0], _scaled(own, max(round(own.shape[-1] * ratio), 1)))
    elif own.dim() in (2, 3):
        yield _with(trial, behind[0], _resized(own, 1, max(own.shape[1] * wanted // max(got, 1), 1)))


def _evaluation(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """In training mode some models want targets, and batch statistics need more than one element."""
    if module.training and not trial.evaluation and re.search(r"target|label|training|train", failed.text):
        yield replace(trial, evaluation=True)


class _Fields(dict[str, Any]):
    """A dict of inputs that grows by the keys that the model asks for."""


class _Record:
    """An object with the attributes that the model asks for (a graph batch, a config-like input)."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def _behind(failed: ForwardFailed, position: int) -> tuple[str, list[str]] | None:
    if failed.call is None or position >= len(failed.call.tensors):
        return None
    return failed.inputs_behind(failed.call.tensors[position][2])


def _input(trial: Trial, name: str) -> torch.Tensor | None:
    for label, value in _labelled(trial):
        if label == name:
            return value if isinstance(value, torch.Tensor) else None
    return None


def _labelled(trial: Trial) -> Iterator[tuple[str, Any]]:
    for position, value in enumerate(trial.args):
        yield f"input{position}" if position else "input", value
    yield from trial.kwargs.items()


def _with(trial: Trial, name: str, tensor: torch.Tensor) -> Trial:
    args = tuple(tensor if (f"input{i}" if i else "input") == name else a for i, a in enumerate(trial.args))
    kwargs = {k: tensor if k == name else v for k, v in trial.kwargs.items()}
    return replace(trial, args=args, kwargs=kwargs)


def _resized(tensor: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    shape = list(tensor.shape)
    shape[axis] = size
    return _like(tensor, shape)


def _scaled(tensor: torch.Tensor, size: int) -> torch.Tensor:
    """The last axis at a size, the others of the same length with it."""
    last = tensor.shape[-1]
    return _like(tensor, [size if i >= 2 and d == last else d for i, d in enumerate(tensor.shape)])


def _of_rank(tensor: torch.Tensor, rank: int) -> torch.Tensor:
    shape = list(tensor.shape)
    while len(shape) > rank:
        shape.pop(2 if len(shape) > 2 and rank >= 2 else -1)
    while len(shape) < rank:
        shape.insert(1 if rank - len(shape) > 1 or len(shape) < 2 else len(shape), 16)
    return _like(tensor, shape)


def _like(tensor: torch.Tensor, shape: list[int]) -> torch.Tensor:
    if tensor.is_floating_point():
        return floats(*shape, dtype=tensor.dtype)
    return tokens(*shape, high=2).to(tensor.dtype)
