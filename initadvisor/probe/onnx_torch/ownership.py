"""Which stored tensors are parameters of the model: what the frontend found, told by the tensors of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from initadvisor.frontends.onnx_model.tensors import Tensor
from initadvisor.frontends.onnx_model.text import text
from initadvisor.graph import Graph, Parameter
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
        self.owners: dict[str, list[Parameter]] = {}
        for parameter in graph.parameters.values():
            if parameter.is_float and not parameter.buffer:
                for name in dict.fromkeys(piece[0] for piece in parameter.pieces):
                    self.owners.setdefault(name, []).append(parameter)

        self._apart = self._merged(graph)

    def _merged(self, graph: Graph) -> dict[tuple[str, str], str]:
        """(what a node makes, stored tensor that it reads) -> the parameter that this use is.

        Exporters store equal tensors once: the zero biases of all layers, the weights of copied blocks. In the model
        they are parameters of their own, each with its own gradient.
        """
        several = {
            name: {parameter.name for parameter in owners}
            for name, owners in self.owners.items()
            if len(owners) > 1 and all(p.pieces == ((name, 0, p.size),) for p in owners)
        }
        stored_in = {parameter: name for name, parameters in several.items() for parameter in parameters}
        found: dict[tuple[str, str], str] = {}
        for node in graph.nodes if stored_in else ():
            for value in node.inputs:
                parameter = None if value is None else graph.values[value].parameter
                if parameter in stored_in and node.outputs:
                    made = graph.values[node.outputs[0]].name.rpartition(" (")
                    found[made[0] or made[2], stored_in[parameter]] = parameter
        return found

    def apart(self, stored: str, made: str) -> str | None:
        """The parameter that a node reads in a stored tensor which holds several, None where that is not known."""
        return self._apart.get((made, stored))

    def trainable(self, tensor: Tensor) -> bool:
        """Whether a stored tensor holds elements of a parameter."""
        return tensor.is_float and tensor.name in self.owners

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
        owners = self.owners.get(name, [])
        if not owners or owners[0].source is None or (kind != "DequantizeLinear" and name in names):
            return None
        parameter = owners[0]
        if kind == "DequantizeLinear" and (len(owners) > 1 or parameter.pieces[0][0] == parameter.name):
            return None
        self._budget.allow(parameter.shape)
        return Leaf(parameter.name if kind == "DequantizeLinear" else name, _elements(parameter), True, name)


def _elements(parameter: Parameter) -> torch.Tensor:
    """The elements of a parameter as the frontend reads them."""
    source = parameter.source
    chunks = [] if source is None else [torch.from_numpy(np.array(chunk)) for chunk in source.chunks(_CHUNK)]
    flat = torch.cat(chunks) if chunks else torch.empty(0)
    return flat.to(TORCH_TYPES.get(parameter.dtype, torch.float32)).reshape(parameter.shape)
