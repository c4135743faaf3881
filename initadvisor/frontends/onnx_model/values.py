"""The values of a graph while its nodes are read: those that are made, and what the nodes find under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from initadvisor.errors import FormatError
from initadvisor.frontends.onnx_model.exporters import Provenance
from initadvisor.frontends.onnx_model.folding import FOLD_ELEMENTS
from initadvisor.frontends.onnx_model.names import ABSENT, Binding, Names
from initadvisor.frontends.onnx_model.operands import Use, role
from initadvisor.frontends.onnx_model.tensors import CONSTANT_ELEMENTS, Tensor
from initadvisor.frontends.onnx_model.text import shown, text
from initadvisor.graph import Graph, Shape, Value
from initadvisor.ops import Operator

if TYPE_CHECKING:
    from onnx import NodeProto

PENDING = -1
"""Stands for a parameter among a node's inputs until all uses are known and `parameters.assign` names it."""


class Values:
    """Adds values to a graph, and keeps where its parameters are read."""

    def __init__(self, graph: Graph, origin: Provenance) -> None:
        self.uses: list[Use] = []
        self._graph = graph
        self._origin = origin
        self._constants: dict[int, int] = {}
        self._kept: list[Tensor] = []

    # --- made -------------------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        shape: Shape | None,
        dtype: str | None,
        kind: Literal["input", "parameter", "constant", "result"],
        constant: np.ndarray | None = None,
    ) -> int:
        """A new value; gives its id."""
        at = len(self._graph.values)
        self._graph.values.append(Value(at, name, shape, dtype, kind, constant=constant))
        return at

    def declared(self, name: str, names: Names, kind: Literal["input", "result"]) -> int:
        """A new value of the declared type and shape."""
        dtype, shape = names.declared.get(name, (None, None))
        return self.add(name, shape, dtype, kind)

    def between(self, proto: NodeProto, what: str) -> int:
        """A value inside of what one ONNX node stands for."""
        return self.add(f"{text(proto.output[0])} ({what})", None, None, "result")

    def results(self, proto: NodeProto, names: Names) -> list[int]:
        """Values for a node's outputs, bound to their names; absent ones in between get a nameless value."""
        outputs = [text(name) for name in proto.output]
        while outputs and not outputs[-1]:
            outputs.pop()
        found = []
        for name in outputs:
            found.append(self.declared(name, names, "result"))
            if name:
                names.bind(name, found[-1])
        return found

    # --- found ------------------------------------------------------------------------------------------------

    def resolve(self, name: str, names: Names, where: NodeProto | str) -> Binding:
        """What a name is bound to; raises FormatError where nothing makes it."""
        found = names.find(name)
        if found is None:
            reader = where if isinstance(where, str) else f"node {shown(where.name)} ({shown(where.op_type)})"
            raise FormatError(f"{reader} reads {shown(name)}, which no input, initializer or node makes")
        return found

    def read(self, name: str, names: Names, proto: NodeProto) -> Binding | None:
        """What a node reads under a name; None for an input that it leaves out, or the call around it."""
        found = self.resolve(name, names, proto) if name else ABSENT
        return None if found is ABSENT else found

    def shape(self, binding: Binding | None) -> Shape | None:
        """The shape of what a name is bound to, where it is known."""
        if binding is None:
            return None
        return binding.shape if isinstance(binding, Tensor) else self._graph.values[binding].shape

    def known(self, binding: Binding | None, limit: int = FOLD_ELEMENTS) -> np.ndarray | None:
        """The elements of a small known tensor, else None."""
        return binding.array() if isinstance(binding, Tensor) and binding.size <= limit else None

    def operand(
        self, binding: Binding | None, entry: Operator | None, slot: str, node: int, position: int
    ) -> int | None:
        """The value that a node reads in a slot; a known tensor becomes a parameter, a buffer or a constant here."""
        if binding is None or isinstance(binding, int):
            return binding
        kind = role(binding, entry, slot, self._origin)
        if kind == "constant":
            if id(binding) not in self._constants:
                self._kept.append(binding)
                array = binding.array() if binding.size <= CONSTANT_ELEMENTS else None
                at = self.add(binding.name, binding.shape, binding.dtype, "constant", array)
                self._constants[id(binding)] = at
            return self._constants[id(binding)]
        self.uses.append(Use(binding, node, position, slot, kind == "buffer"))
        return PENDING

    def output(self, binding: Binding, position: int) -> int:
        """The value of one of the graph's outputs."""
        found = self.operand(binding, None, "output", -1, position)
        return PENDING if found is None else found
