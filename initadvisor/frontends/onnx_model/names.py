"""What the names in an ONNX graph stand for: values that flow, and tensors whose elements are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initadvisor.frontends.onnx_model.shapes import Declared
from initadvisor.frontends.onnx_model.tensors import Tensor

if TYPE_CHECKING:
    from initadvisor.frontends.onnx_model.integer import Readers

Binding = int | Tensor
"""The id of a Value that flows, or a tensor whose elements are known."""

ABSENT = Tensor("", "float32", (0,), "derived", None)
"""Stands for an optional input of a function that its call leaves out."""


class Names:
    """The names that one graph defines, and through it those of the graphs around it."""

    __slots__ = ("_outer", "_own", "declared", "readers")

    def __init__(self, outer: Names | None, shapes: Declared) -> None:
        self._own: dict[str, Binding] = {}
        self._outer = outer
        self.declared = shapes
        self.readers: Readers | None = None

    def bind(self, name: str, binding: Binding) -> None:
        """Define a name here."""
        self._own[name] = binding

    def find(self, name: str) -> Binding | None:
        """What a name stands for, from the inside out."""
        names: Names | None = self
        while names is not None:
            if name in names._own:
                return names._own[name]
            names = names._outer
        return None
