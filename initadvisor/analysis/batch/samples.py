"""Samples out of whatever holds them: an array, a pair, a dict, a data set, a loader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from initadvisor.errors import UsageError

_LABELS = ("labels", "label", "targets", "target", "y")


@dataclass(frozen=True, slots=True)
class Samples:
    """Arrays by name with the samples on their first axis, and the labels, where there are any.

    notes: what was left out, in words. unreadable: files without a readable sample, each with the reason.
    """

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())
    unreadable: tuple[str, ...] = ()


def gather(source: Any, most: int = 2048) -> Samples:
    """The first `most` samples of a tensor, (inputs, labels), a dict of tensors, or an iterable of such batches.

    A list or tuple of two is a pair of inputs and labels. Raises UsageError where no tensor is in it.
    """
    if _is_batch(source):
        batches: Iterator[Any] = iter((source,))
    elif isinstance(source, Iterable):
        batches = iter(source)
    elif hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return gather(_items(source, most), most)
    else:
        raise UsageError(f"data of type {type(source).__name__} cannot be read", hint="give tensors or a data loader")
    collected: dict[str, list[np.ndarray]] = {}
    labels: list[np.ndarray] = []
    seen = 0
    for batch in batches:
        inputs, target = _parts(batch)
        if not inputs:
            raise UsageError(f"a batch of type {type(batch).__name__} holds no tensor", hint="give tensors or arrays")
        for name, array in inputs.items():
            collected.setdefault(name, []).append(array[: most - seen])
        if target is not None:
            labels.append(target[: most - seen])
        seen += min(len(next(iter(inputs.values()))), most - seen)
        if seen >= most:
            break
    if not seen:
        raise UsageError("the data holds no sample", hint="give at least one batch")
    notes: list[str] = []
    joined = {name: _joined(parts, name, notes) for name, parts in collected.items()}
    return Samples(joined, _joined(labels, "labels", notes) if labels else None, tuple(notes))


def _items(source: Any, most: int) -> Iterator[Any]:
    """The samples of a map-style data set, each as a batch of one."""
    for index in range(min(len(source), most)):
        item = source[index]
        parts = item if isinstance(item, tuple | list) else (item,)
        yield tuple(np.asarray(_array(part))[None] for part in parts)


def _is_batch(source: Any) -> bool:
    if _is_array(source) or isinstance(source, Mapping):
        return True
    return isinstance(source, tuple | list) and 0 < len(source) <= 2 and all(_is_array(each) for each in source)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (hasattr(value, "detach") and hasattr(value, "dtype"))


def _array(value: Any) -> np.ndarray:
    """The numbers of an array, a tensor of any device, or a plain number; raises UsageError for anything else."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):
            value = value.float()
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise UsageError(f"data of type {array.dtype} cannot be judged", hint="give tensors of numbers")
    return array


def _parts(batch: Any) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    if isinstance(batch, Mapping):
        arrays = {str(key): _array(value) for key, value in batch.items() if _is_array(value)}
        name = next((key for key in _LABELS if key in arrays), None)
        target = arrays.pop(name) if name is not None else None
    else:
        members: Sequence[Any] = batch if isinstance(batch, tuple | list) else (batch,)
        if not members or not (_is_array(members[0])):
            return {}, None
        arrays = {"input": _array(members[0])}
        target = _array(members[1]) if len(members) > 1 and _is_array(members[1]) else None
    return {
        key: array for key, array in arrays.items() if array.ndim
    }, target if target is None or target.ndim else None


def _joined(parts: list[np.ndarray], name: str, notes: list[str]) -> np.ndarray:
    """One array of all parts; those of another shape than the first (images of several sizes) are left out."""
    fitting = [part for part in parts if part.shape[1:] == parts[0].shape[1:]]
    if len(fitting) < len(parts):
        left = sum(map(len, parts)) - sum(map(len, fitting))
        notes.append(f"{left} samples of {name} have another shape than the first and were not looked at")
    return fitting[0] if len(fitting) == 1 else np.concatenate(fitting)
