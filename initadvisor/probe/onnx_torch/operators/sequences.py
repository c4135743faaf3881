"""Sequences of tensors, which flow as Python lists, and optional values, which flow as None where absent."""

from __future__ import annotations

from typing import Any

import torch

from initadvisor.probe.onnx_torch.registry import Call, implements, number, numbers


@implements("SequenceConstruct")
def construct(call: Call, *inputs: Any) -> Any:
    """A sequence of the inputs."""
    return (list(inputs),)


@implements("SequenceEmpty")
def empty(call: Call) -> Any:
    """A sequence of nothing."""
    return ([],)


@implements("SequenceInsert")
def insert(call: Call, sequence: Any, tensor: Any, position: Any = None) -> Any:
    """One tensor more, by default at the end."""
    at = len(sequence) if position is None else int(number(position))
    at = at + len(sequence) if at < 0 else at
    return ([*sequence[:at], tensor, *sequence[at:]],)


@implements("SequenceErase")
def erase(call: Call, sequence: Any, position: Any = None) -> Any:
    """One tensor less, by default the last."""
    at = -1 if position is None else int(number(position))
    at = at + len(sequence) if at < 0 else at
    return ([*sequence[:at], *sequence[at + 1 :]],)


@implements("SequenceAt")
def at(call: Call, sequence: Any, position: Any) -> Any:
    """The tensor at a place."""
    return sequence[int(number(position))]


@implements("SequenceLength")
def length(call: Call, sequence: Any) -> Any:
    """How many tensors there are."""
    return torch.tensor(len(sequence), dtype=torch.int64)


@implements("ConcatFromSequence")
def concat(call: Call, sequence: Any) -> Any:
    """All tensors joined along an axis, a new one with `new_axis`."""
    axis = call.attr("axis")
    call.allow((sum(part.numel() for part in sequence),), max((part.element_size() for part in sequence), default=1))
    return torch.stack(sequence, axis) if call.attr("new_axis", 0) else torch.cat(sequence, axis)


@implements("SplitToSequence")
def split(call: Call, x: Any, sizes: Any = None) -> Any:
    """Parts of an axis as a sequence, of size 1 where nothing is said."""
    axis = call.attr("axis", 0)
    if sizes is None:
        parts = torch.split(x, 1, axis)
        return ([part if call.attr("keepdims", 1) else part.squeeze(axis) for part in parts],)
    wanted = numbers(sizes)
    return (list(torch.split(x, wanted if sizes.dim() else int(wanted[0]), axis)),)


@implements("Optional")
def optional(call: Call, value: Any = None) -> Any:
    """A value that may be absent."""
    return (value,)


@implements("OptionalHasElement")
def has_element(call: Call, value: Any = None) -> Any:
    """Whether there is a value."""
    return torch.tensor(value is not None)


@implements("OptionalGetElement")
def get_element(call: Call, value: Any) -> Any:
    """The value."""
    return (value,)
