"""The arguments of one call, put into the slots and attributes of its operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

import torch

from initadvisor.frontends.torch_module.geometry import unwrapped
from initadvisor.frontends.torch_module.spellings import Spelling

Item = Any
"""What sits in a slot: a tensor, a number, or None."""

_OUTPUT_ONLY = frozenset({"out", "inplace", "device", "layout", "pin_memory", "non_blocking", "copy"})


_SHAPE_ONLY = frozenset({"like", "other", "cls", *_OUTPUT_ONLY})
"""Attributes that hold a tensor for its shape and type alone."""


def bind(call: Spelling, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Item], dict[str, Any]]:
    """Return the slot items in the operator's order, trailing absent ones cut, and the attributes.

    A tensor where the table has an attribute is one more item behind the slots, unless it is a known size.
    """
    if call.operator is None or call.parameters is None:
        return _tensors(args) + _tensors(list(kwargs.values())), _plain_attributes(kwargs)
    if call.name in ("__getitem__", "__setitem__"):
        return _indexed(call, args)
    slots = call.operator.slots
    filled: dict[str, Any] = {}
    attrs: dict[str, Any] = {}
    names = call.parameters

    def place(name: str, value: Any) -> None:
        if name in slots or f"{name}..." in slots:
            filled[name] = value
        elif "+" in name:
            filled.update(zip(name.split("+"), value if value is not None else (), strict=False))
        else:
            attrs[name.removesuffix("...")] = value

    for position, value in enumerate(args):
        if position >= len(names):
            if position < len(call.python):
                attrs[call.python[position]] = value
            elif isinstance(value, torch.Tensor):
                filled.setdefault(f"extra{position}", value)
            continue
        if names[position].endswith("..."):
            rest = args[position:] if position == len(names) - 1 else (value,)
            if len(rest) == 1 and isinstance(rest[0], tuple | list):
                rest = rest[0]
            place(names[position], list(rest))
            if position == len(names) - 1:
                break
        else:
            place(names[position], value)
    for key, value in kwargs.items():
        place(_canonical(call, key, filled, value), value)
    items = _in_order(slots, filled)
    depends = [t for key, value in attrs.items() if key not in _SHAPE_ONLY for t in _tensors([value]) if not _size(t)]
    if depends:
        items += [None] * (len(slots) - len(items)) + depends
    return items, _readable(attrs)


def _canonical(call: Spelling, key: str, filled: Mapping[str, Any], value: Any) -> str:
    """The table's name of a keyword argument that torch spells `key`."""
    names = call.parameters or ()
    for name in names:
        if key in (name, name.removesuffix("...")) or key in name.split("+"):
            return name
    if key in call.python and call.python.index(key) < len(names):
        return names[call.python.index(key)]
    if isinstance(value, torch.Tensor) and key not in _OUTPUT_ONLY and call.operator is not None:
        for slot in call.operator.slots:
            if slot not in filled and not slot.endswith("..."):
                return slot
    return key


def _in_order(slots: Sequence[str], filled: dict[str, Any]) -> list[Item]:
    items: list[Item] = []
    for slot in slots:
        value = filled.pop(slot, filled.pop(slot.removesuffix("..."), None))
        if slot.endswith("..."):
            items.extend(_flat(value))
        else:
            items.append(value if isinstance(value, torch.Tensor | Number) or value is None else None)
            if isinstance(value, tuple | list):
                items.extend(_tensors(value))
    while items and items[-1] is None:
        items.pop()
    for value in filled.values():
        items.extend(_tensors([value]))
    return items


def _indexed(call: Spelling, args: Sequence[Any]) -> tuple[list[Item], dict[str, Any]]:
    """`x[index]` and `x[index] = value`: tensors in the index become inputs, the rest stays readable."""
    index = args[1]
    parts = index if isinstance(index, tuple) else (index,)
    attrs = {"index": tuple("..." if p is Ellipsis else "tensor" if holds_tensor(p) else _value(p) for p in parts)}
    items = [args[0]] if call.name == "__getitem__" else [args[0], args[2]]
    if call.name == "__setitem__" and not isinstance(args[2], torch.Tensor | Number):
        items[1] = None
    return items + _tensors(parts), attrs


def holds_tensor(value: Any) -> bool:
    """Whether a tensor sits anywhere in nested lists and tuples."""
    return isinstance(value, torch.Tensor) or (isinstance(value, tuple | list) and any(map(holds_tensor, value)))


def _flat(value: Any) -> list[Item]:
    if isinstance(value, tuple | list):
        return [item for part in value for item in _flat(part)]
    return [value] if isinstance(value, torch.Tensor | Number) or value is None else []


def _tensors(values: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found.extend(_tensors(value))
        elif isinstance(value, dict):
            found.extend(_tensors(list(value.values())))
    return found


def _readable(attrs: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _value(value)
        for key, value in attrs.items()
        if key not in _OUTPUT_ONLY and (not isinstance(value, torch.Tensor) or _size(value))
    }


def _plain_attributes(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in kwargs.items() if isinstance(v, bool | int | float | str)}


def _value(value: Any) -> Any:
    """An attribute as plain Python: sizes as tuples, types by name, known sizes as numbers, other tensors as None."""
    if isinstance(value, bool | int | float | complex | str) or value is None:
        return value
    if isinstance(value, slice):
        return slice(_value(value.start), _value(value.stop), _value(value.step))
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, tuple | list):
        return tuple(_value(v) for v in value)
    if isinstance(value, torch.Tensor):
        return value.item() if _size(value) else None
    return str(value)


def _size(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a single known number."""
    return tensor.device.type == "cpu" and tensor.dim() == 0 and unwrapped(tensor) is None
