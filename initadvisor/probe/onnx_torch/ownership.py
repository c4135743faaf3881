"""Which stored tensors are parameters of the model: what the frontend found, told by the tensors of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from initadvisor.frontends.onnx_model.tensors import Tensor
from initadvisor.frontends.onnx_model.text import text
from initadvisor.graph import Graph, Node, Parameter
from initadvisor.ops import operator
from initadvisor.probe.onnx_torch.limits import Budget
from initadvisor.probe.onnx_torch.program import Leaf
from initadvisor.probe.onnx_torch.types import TORCH_TYPES

if TYPE_CHECKING:
    from onnx import NodeProto

_CHUNK = 1 << 20


class Ownership:
    """The parameters of a graph by the tensors of the file that hold their elements."""

    def __init__(self, graph: Graph, budget: Budget) -> None:
        self._budget = budget
        self._parameters = graph.parameters
        self._owners: dict[str, list[Parameter]] = {}
        for parameter in graph.parameters.values():
            if parameter.is_float:
                for name in dict.fromkeys(piece[0] for piece in parameter.pieces):
                    self._owners.setdefault(name, []).append(parameter)
        self._apart = self._merged(graph)

    def _merged(self, graph: Graph) -> dict[tuple[str, str], list[str]]:
        """(what a node makes, stored tensor that it reads) -> the parameters that its uses are, in ONNX's order.

        Exporters store equal tensors once: the zero biases of all layers, the weights of copied blocks. In the model
        they are parameters of their own, each with its own gradient.
        """
        stored_in = {
            parameter.name: name
            for name, owners in self._owners.items()
            if len(owners) > 1 and all(p.pieces == ((name, 0, p.size),) for p in owners)
            for parameter in owners
        }
        found: dict[tuple[str, str], list[str]] = {}
        for node in graph.nodes if stored_in else ():
            if not node.outputs:
                continue
            whole, _, part = graph.values[node.outputs[0]].name.rpartition(" (")
            for value in _in_onnx_order(node):
                parameter = None if value is None else graph.values[value].parameter
                if parameter in stored_in:
                    found.setdefault((whole or part, stored_in[parameter]), []).append(parameter)
        return found

    def shared(self, stored: str) -> bool:
        """Whether a stored tensor holds elements of parameters."""
        return stored in self._owners

    def apart(self, stored: str, made: str, turn: int) -> Parameter | None:
        """The parameter that a node reads in a stored tensor which holds several, None where that is not known.

        turn: how often the node read that tensor before.
        """
        found = self._apart.get((made, stored), [])
        return self._parameters[found[turn]] if turn < len(found) else None

    def trainable(self, tensor: Tensor) -> bool:
        """Whether a stored tensor holds elements of a parameter."""
        return tensor.is_float and any(not owner.buffer for owner in self._owners.get(tensor.name, ()))

    def stored(self, proto: NodeProto, names: Mapping[str, str]) -> Leaf | None:
        """The parameter that a node makes of what is stored: a constant, a filled shape, dequantized codes.

        Its elements become the leaf, in the place of the node: codes are integers and have no gradient.
        """
        kind = text(proto.op_type)
        if kind in ("Constant", "ConstantOfShape"):
            name = text(proto.output[0])
        elif kind == "DequantizeLinear" and proto.input:
            name = text(proto.input[0])
        else:
            return None
        owners = [owner for owner in self._owners.get(name, ()) if owner.pieces == ((name, 0, owner.size),)]
        if not owners or owners[0].source is None or all(owner.buffer for owner in owners):
            return None
        self._budget.allow(owners[0].shape)
        own = owners[0].name if kind == "DequantizeLinear" else name
        return Leaf(own, _elements(owners[0]), True, name)


def _in_onnx_order(node: Node) -> list[int | None]:
    """What a node reads, in the order of ONNX's inputs where the table says how that differs from its slots."""
    entry = operator(node.op)
    order = entry.onnx_inputs.get(node.native, "").split() if entry is not None else []
    if entry is None or not order:
        return list(node.inputs)
    slots = [entry.slots[min(at, len(entry.slots) - 1)] for at in range(len(node.inputs))] if entry.slots else []
    places = [order.index(slot) if slot in order else len(order) for slot in slots]
    return [value for _, value in sorted(zip(places, node.inputs, strict=True), key=lambda pair: pair[0])]


def _elements(parameter: Parameter) -> torch.Tensor:
    """The elements of a parameter as the frontend reads them."""
    source = parameter.source
    chunks = [] if source is None else [torch.from_numpy(np.array(chunk)) for chunk in source.chunks(_CHUNK)]
    flat = torch.cat(chunks) if chunks else torch.empty(0)
    return flat.to(TORCH_TYPES.get(parameter.dtype, torch.float32)).reshape(parameter.shape)
