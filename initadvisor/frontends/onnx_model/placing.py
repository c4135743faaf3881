"""The inputs of an ONNX node in the slots of its canonical operator; inputs that are attributes become attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from initadvisor.frontends.onnx_model.canonical import plain
from initadvisor.frontends.onnx_model.folding import FOLD_ELEMENTS
from initadvisor.frontends.onnx_model.names import Binding
from initadvisor.frontends.onnx_model.tensors import Tensor
from initadvisor.ops import Operator

Slots = list[tuple[str, Binding | None]]
"""Slot name and what it reads, in order."""


def place(
    entry: Operator, spelling: str, inputs: Sequence[Binding | None], attrs: dict[str, Any]
) -> tuple[Slots, Slots]:
    """A node's inputs under the entry's slots, in their order; known inputs that name an attribute go into `attrs`.

    An input that names an attribute and is not known comes back as one of the extra inputs behind the slots.
    """
    declared_names = entry.onnx_inputs.get(spelling)
    order = declared_names.split() if declared_names is not None else list(entry.slots)
    slots: dict[str, Binding | None] = {}
    rest: Slots = []
    extra: Slots = []
    variadic = order[-1] if order and order[-1].endswith("...") else None
    for position, binding in enumerate(inputs):
        name = order[position] if position < len(order) else variadic or f"input{position}"
        if name == variadic:
            rest.append((name, binding))
        elif name in entry.slots:
            slots[name] = binding
        elif binding is not None:
            array = binding.array() if isinstance(binding, Tensor) and binding.size <= FOLD_ELEMENTS else None
            if array is None:
                extra.append((name, binding))
            else:
                attrs[name] = plain(array)
    placed: Slots = [(s, slots.get(s)) for s in entry.slots if not s.endswith("...")]
    return placed + rest, extra


def looks_up(inputs: Sequence[Binding | None], attrs: dict[str, Any]) -> bool:
    """Whether a Gather looks rows of a float table up: an embedding."""
    data, indices = (*inputs, None, None)[:2]
    if not isinstance(data, Tensor) or indices is None or not data.is_float or len(data.shape) < 2:
        return False
    if isinstance(indices, Tensor) and indices.size <= 1:
        return False  # one fixed row: a selection
    return int(attrs.get("axis", 0)) in (0, -len(data.shape))
