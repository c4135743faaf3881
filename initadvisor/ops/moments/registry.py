"""The table of moment handlers: how an operator changes the statistics of a signal, forward and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from initadvisor.ops.moments.signal import Gradient, Signal


@dataclass(slots=True)
class Call:
    """One operator call as a handler sees it.

    inputs: signals in the order of the operator's slots, None for an absent or unknown one; `present` tells the two
    apart. outputs: the forward result, there when the gradient comes back. batch: the number of samples.
    memory: what the forward handler leaves for the backward one.
    """

    op: str
    attrs: Mapping[str, Any]
    inputs: list[Signal | None]
    present: list[bool]
    input_shapes: list[tuple[int, ...] | None]
    output_shapes: list[tuple[int, ...] | None]
    batch: int
    training: bool = True
    outputs: list[Signal | None] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)

    def known(self, slot: int) -> Signal | None:
        """The signal of a slot, None where there is none."""
        return self.inputs[slot] if slot < len(self.inputs) else None

    def lost(self, *slots: int) -> bool:
        """Whether one of these slots is connected but its signal is unknown."""
        return any(s < len(self.inputs) and self.present[s] and self.inputs[s] is None for s in slots)

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, the default where it is absent or None."""
        value = self.attrs.get(name)
        return default if value is None else value


Forward = Callable[[Call], list[Signal | None]]
Backward = Callable[[Call, list[Gradient | None]], list[Gradient | None]]

FORWARD: dict[str, Forward] = {}
BACKWARD: dict[str, Backward] = {}


def forward(*names: str) -> Callable[[Forward], Forward]:
    """Register a forward handler for canonical operators. Raises ValueError where one has a handler already."""

    def add(handler: Forward) -> Forward:
        for name in names:
            if name in FORWARD:
                raise ValueError(f"operator {name!r} has two forward moment handlers")
            FORWARD[name] = handler
        return handler

    return add


def backward(*names: str) -> Callable[[Backward], Backward]:
    """Register a backward handler for canonical operators. Raises ValueError where one has a handler already."""

    def add(handler: Backward) -> Backward:
        for name in names:
            if name in BACKWARD:
                raise ValueError(f"operator {name!r} has two backward moment handlers")
            BACKWARD[name] = handler
        return handler

    return add
