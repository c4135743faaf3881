"""Sizes that did not fit: how many channels, features, axes or positions an input should have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isqrt, prod

import torch
from torch import nn

from initadvisor.frontends.torch_module.failure import ForwardFailed
from initadvisor.frontends.torch_module.inputs.edits import behind, exchanged, input_at, like, of_rank, resized, scaled
from initadvisor.frontends.torch_module.inputs.trial import Trial, floats


def widths(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """An operator was given another number of channels or features than its weight wants."""
    mismatch = _mismatch(failed)
    if mismatch is None:
        return
    value, axis, got, wanted = mismatch
    source = failed.inputs_behind(value)
    own = input_at(trial, source[0]) if source is not None else None
    if source is None or own is None or got == wanted or got < 1:
        return
    name, ops = source
    if not ops:
        yield exchanged(trial, name, resized(own, axis % own.dim(), wanted))
        if axis == 1 and own.dim() > 2:
            yield exchanged(trial, name, resized(own, own.dim() - 1, wanted))
        return
    for place in (*range(own.dim() - 1, 0, -1), 0):
        if own.shape[place] == got:
            yield exchanged(trial, name, resized(own, place, wanted))
    if set(ops) <= _SHAPING:
        yield from _flattened(trial, name, own, wanted)
        for place in range(own.dim() - 1, 0, -1):
            if own.shape[place] * wanted % got == 0:
                yield exchanged(trial, name, resized(own, place, own.shape[place] * wanted // got))
    elif own.dim() in (3, 4, 5):
        for ratio in ((wanted / got) ** 0.5, wanted / got):
            size = max(round(own.shape[-1] * ratio), 1)
            for near in (0, 1, -1, 2, -2, 4, -4, 8, -8):
                if 0 < size + near <= LARGEST:
                    yield exchanged(trial, name, scaled(own, size + near))


LARGEST = 4096
"""Pixels or samples along one axis up to which inputs are enlarged."""

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
            yield exchanged(trial, name, floats(own.shape[0], count, side, side))
    yield exchanged(trial, name, floats(own.shape[0], wanted))


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
    """The same from the message of a check in Python code (recurrent layers, attention), or of a split."""
    split = re.search(r"sum exactly to (\d+) .*dimension (-?\d+)\), but got split_sizes=\[([\d, ]+)\]", failed.text)
    if split is not None and failed.call is not None and failed.call.tensors:
        wanted = sum(int(s) for s in split.group(3).split(","))
        return failed.call.tensors[0][2], int(split.group(2)), int(split.group(1)), wanted
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


def ranks(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """`Expected 3D (unbatched) or 4D (batched) input`, `expected 2D or 3D input (got 4D input)`."""
    call = failed.call
    if call is not None and call.op == "conv" and len(call.tensors) > 1:
        (given, _, value), (weight, _, _) = call.tensors[:2]
        patches = failed.inputs_behind(value)
        held = input_at(trial, patches[0]) if patches is not None else None
        if patches is not None and held is not None and len(given) == 2 and given[-1] == prod(weight[1:]):
            yield exchanged(trial, patches[0], like(held, [held.shape[0], *weight[1:]]))
        if patches is not None and held is not None and len(given) == len(weight) - 1 == held.dim():
            channels = weight[1] * call.groups
            yield exchanged(trial, patches[0], like(held, [held.shape[0], channels, *held.shape[1:]]))
    ranks = [int(r) for r in re.findall(r"(\d)-?[dD]\b", failed.text.split("got")[0])]
    ranks += [int(r) for r in re.findall(r"(?:must be|expected) (\d)-?(?:D|dim)", failed.text)]
    source = behind(failed, 0)
    own = input_at(trial, source[0]) if source is not None else None
    if source is None or own is None or not re.search(r"[dD]imension|[dD]\b.*input|dim", failed.text):
        return
    beyond = re.search(r"Dimension out of range.*but got (\d+)\)", failed.text)
    if beyond is not None and own is not None and source is not None and int(beyond.group(1)) >= own.dim():
        lacking = int(beyond.group(1)) + 1 - own.dim()
        yield exchanged(trial, source[0], like(own, [own.shape[0], *[1] * lacking, *own.shape[1:]]))
    for rank in dict.fromkeys(reversed(ranks)):
        if rank != own.dim() and 0 < rank <= 5:
            yield exchanged(trial, source[0], of_rank(own, rank))


def table_lengths(module: nn.Module, trial: Trial, failed: ForwardFailed) -> Iterator[Trial]:
    """A sum with a position table of another length: resize the input until the lengths agree."""
    call = failed.call
    if call is None or call.op not in ("add", "mul", "sub", "copy") or len(call.tensors) != 2:
        return
    (ours, _, value), (table, _, _) = call.tensors
    source = failed.inputs_behind(value)
    own = input_at(trial, source[0]) if source is not None else None
    pairs = [(a, b) for a, b in zip(reversed(ours), reversed(table), strict=False) if a != b and 1 not in (a, b)]
    if source is None or own is None or not pairs:
        return
    got, wanted = pairs[0]
    for axis in range(1, own.dim()):
        if own.shape[axis] == got:
            yield exchanged(trial, source[0], resized(own, axis, wanted))
    if own.dim() == 4:
        for offset in (0, 1, 2):
            if got > offset and wanted > offset:
                ratio = ((wanted - offset) / (got - offset)) ** 0.5
                yield exchanged(trial, source[0], scaled(own, max(round(own.shape[-1] * ratio), 1)))
    elif own.dim() in (2, 3):
        yield exchanged(trial, source[0], resized(own, 1, max(own.shape[1] * wanted // max(got, 1), 1)))
