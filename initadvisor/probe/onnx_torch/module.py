"""The module that runs an ONNX graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from initadvisor.analysis.structure import describe
from initadvisor.errors import LoadError, UsageError
from initadvisor.frontends.onnx_model.document import open_document
from initadvisor.frontends.onnx_model.external import ExternalFiles
from initadvisor.frontends.onnx_model.functions import functions
from initadvisor.frontends.onnx_model.loading import load, operator_sets
from initadvisor.frontends.onnx_model.tensor_reader import TensorReader
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Graph
from initadvisor.probe.onnx_torch import operators
from initadvisor.probe.onnx_torch.compiling import Compiler
from initadvisor.probe.onnx_torch.limits import Budget, RunLimits
from initadvisor.probe.onnx_torch.ownership import Ownership
from initadvisor.probe.onnx_torch.placing import place
from initadvisor.probe.onnx_torch.program import Program

assert operators  # importing it fills the registry


@dataclass(frozen=True, slots=True)
class Interface:
    """What an ONNX module is called from outside.

    inputs, outputs: the graph's, in order. layers: layer of the frontend -> path of the submodule whose output is
    that layer's, its bias included. parameters: parameter of the frontend -> paths of the torch parameters that hold
    its elements. stored: initializer of the file -> path of the torch parameter or buffer.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layers: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stored: dict[str, tuple[str, ...]] = field(default_factory=dict)


class OnnxModule(torch.nn.Module):  # type: ignore[misc]
    """Runs an ONNX graph node by node with torch operators.

    Parameters are the float tensors that the frontend reads as trained ones, buffers all others (integers, running
    statistics, quantization scales, constants). Each node is a submodule, so that forward hooks see what it makes.
    `module.onnx` says what inputs, outputs, layers and parameters are called.

    A new module is in evaluation mode, in which it computes what the file says. In training mode dropout is active at
    the file's ratio and batch normalisation uses and updates statistics of the batch; what an exporter folded away (a
    batch norm into the convolution before it, a dropout that it removed) is not there to be switched.
    """

    def __init__(self, program: Program, budget: Budget) -> None:
        super().__init__()
        self._program = program
        self._budget = budget
        self.onnx = Interface(program.inputs, program.outputs)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The graph's output, a tuple where there are several; inputs in the graph's order or by name.

        Raises UsageError where an input is missing or not known, LimitError where the graph asks for too much,
        TargetCodeError where a node fails.
        """
        wanted = self.onnx.inputs
        given = dict(zip(wanted, inputs, strict=False)) | named
        if len(inputs) > len(wanted) or set(given) - set(wanted):
            raise UsageError(f"the graph takes {len(wanted)} inputs: {', '.join(wanted)}")
        missing = [name for name in wanted if name not in given]
        if missing:
            raise UsageError(f"no value is given for the graph's input {', '.join(missing)}")
        self._budget.start()
        results = self._program.run(given)
        return results[0] if len(results) == 1 else tuple(results)


def to_module(
    target: str | Path | Graph, *, options: LoadOptions | None = None, limits: RunLimits | None = None
) -> OnnxModule:
    """An ONNX file, or the graph that the frontend read from one, as a module in evaluation mode.

    Raises a LoadError where the file cannot be read, UnsupportedError where an operator cannot be run; both name the
    node.
    """
    options = options or LoadOptions()
    graph = target if isinstance(target, Graph) else load(target, options)
    if graph.source != "onnx":
        raise UsageError(f"{graph.target} is not an ONNX file", hint="probe a torch module itself")
    if not graph.layers:
        graph = describe(graph)
    path = Path(graph.target)
    document = open_document(path, options)
    budget = Budget(limits or RunLimits())
    reader = TensorReader(document.payloads, document.data, ExternalFiles(path.absolute().parent, options))
    owned = Ownership(graph, budget)
    try:
        compiler = Compiler(
            reader,
            operator_sets(document.model),
            functions(document.model, options.max_nodes),
            budget,
            options.max_nodes,
            owned,
        )
        program = compiler.program(document.model.graph)
    except LoadError as error:
        if str(path) in error.message:
            raise
        raise type(error)(f"{path}: {error.message}", hint=error.hint) from None
    module = OnnxModule(program, budget)
    place(module, compiler, graph)
    module.eval()
    return module
