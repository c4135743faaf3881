"""From the protobuf message to programs: nodes in order, functions inlined, subgraphs as programs of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.errors import FormatError, LimitError, UnsupportedError
from initadvisor.frontends.onnx_model.attributes import attributes
from initadvisor.frontends.onnx_model.functions import Functions, function_key
from initadvisor.frontends.onnx_model.ordering import free_names, ordered
from initadvisor.frontends.onnx_model.tensor_reader import TensorReader
from initadvisor.frontends.onnx_model.tensors import DTYPES, Tensor
from initadvisor.frontends.onnx_model.text import shown, text
from initadvisor.probe.onnx_torch import bodies
from initadvisor.probe.onnx_torch.limits import Budget
from initadvisor.probe.onnx_torch.node import OnnxNode, label
from initadvisor.probe.onnx_torch.ownership import Ownership
from initadvisor.probe.onnx_torch.program import Leaf, Program, Step, host_copy
from initadvisor.probe.onnx_torch.registry import IMPLEMENTATIONS, Call, Implementation
from initadvisor.probe.onnx_torch.straight_through import carry_codes
from initadvisor.probe.onnx_torch.tabled import tabled
from initadvisor.probe.onnx_torch.types import to_torch
from initadvisor.probe.onnx_torch.unsupported import reason

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


class Compiler:
    """Compiles one model; `leaves` and `steps` collect what its programs hold, subgraphs and functions included."""

    def __init__(
        self,
        reader: TensorReader,
        opsets: dict[str, int],
        functions: Functions,
        budget: Budget,
        limit: int,
        owned: Ownership,
    ) -> None:
        self.budget = budget
        self.leaves: list[Leaf] = []
        self.steps: list[Step] = []
        self._reader = reader
        self._opsets = opsets
        self._functions = functions
        self._left = limit
        self._owned = owned
        self._given: dict[str, Any] = {}
        self._types: dict[str, str] = {}
        self._calls = 0

    def program(self, graph: GraphProto, outside: Sequence[str] = ()) -> Program:
        """The program of a graph or subgraph; `outside` are the names that it reads from around it."""
        leaves = self._initializers(graph)
        self._types |= {text(v.name): DTYPES.get(v.type.tensor_type.elem_type, "") for v in graph.input}
        inputs = tuple(text(value.name) for value in graph.input if text(value.name) not in leaves)
        made = Program(inputs, tuple(text(value.name) for value in graph.output), [], leaves)
        names = {name: name for name in (*inputs, *leaves, *outside)}
        where = "the graph" if not outside else "a subgraph"
        for proto in ordered(graph.node, {*inputs, *leaves}, where):
            self._node(proto, names, made)
        made.outputs = tuple(self._read(name, names, where) for name in made.outputs)
        self._drop_unread(made)
        carry_codes(made)
        made.plan_release()
        return made

    def _initializers(self, graph: GraphProto) -> dict[str, Leaf]:
        found: dict[str, Leaf] = {}
        tensors = [self._reader.read(proto, text(proto.name), "initializer") for proto in graph.initializer]
        tensors += [self._reader.read_sparse(s, text(s.values.name)) for s in graph.sparse_initializer]
        for tensor in tensors:
            if tensor.name in found:
                raise FormatError(f"two initializers have the name {shown(tensor.name)}")
            found[tensor.name] = self.leaf(tensor)
        return found

    def leaf(self, tensor: Tensor) -> Leaf:
        """A stored tensor as a parameter or buffer to be."""
        value = to_torch(tensor, self.budget)
        self._types[tensor.name] = tensor.dtype
        made = Leaf(tensor.name, value, self._owned.trainable(tensor), tensor.name, host=host_copy(value))
        self.leaves.append(made)
        return made

    def _read(self, name: str, names: Mapping[str, str], where: str) -> str:
        if name not in names:
            raise FormatError(f"{where} reads {shown(name)}, which no input, initializer or node makes")
        return names[name]

    def _drop_unread(self, program: Program) -> None:
        """Leave out what no node reads: tensors whose readers got leaves of their own, codes that became a leaf."""
        read = {name for step in program.steps for name in step.inputs} | set(program.outputs)
        for name in [name for name in program.leaves if name not in read]:
            self.leaves.remove(program.leaves.pop(name))

    # --- nodes ------------------------------------------------------------------------------------------------

    def _node(self, proto: NodeProto, names: dict[str, str], into: Program, prefix: str = "") -> None:
        try:
            self._compiled(proto, names, into, prefix)
        except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            what = f"node {shown(proto.name)} ({shown(proto.op_type)})"
            raise FormatError(
                f"{what} has attributes or inputs that its operator cannot have: {shown(str(error))}"
            ) from error

    def _compiled(self, proto: NodeProto, names: dict[str, str], into: Program, prefix: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise LimitError("the model has more nodes than may be run")
        body = self._functions.get(function_key(proto.domain, proto.op_type, proto.overload))
        if body is not None:
            self._inline(proto, body, names, into, prefix)
            return
        leaf = self._owned.stored(proto, names)
        if leaf is not None:
            output = text(proto.output[0])
            names[output] = prefix + output
            into.leaves[prefix + output] = leaf
            self.leaves.append(leaf)
            return
        domain = text(proto.domain)
        standard = domain in ("", "ai.onnx")
        spelling = text(proto.op_type) if standard else f"{domain}::{text(proto.op_type)}"
        made = [text(name) for name in proto.output]
        while made and not made[-1]:
            made.pop()
        call = Call(
            spelling,
            self._opsets.get("" if standard else domain, 1),
            text(proto.name) or (made[0] if made else ""),
            attributes(proto.attribute, self._given),
            [bool(name) for name in made],
            self.budget,
        )
        where = f"node {shown(call.name)} ({shown(spelling)})"
        given = [text(name) for name in proto.input]
        inputs = [self._read(name, names, where) if name else "" for name in given]
        if spelling == "Identity" and inputs[0] in into.leaves and self._owned.shared(into.leaves[inputs[0]].stored):
            names[made[0]] = inputs[0]  # another name that an exporter gives to a stored tensor
            return
        if not prefix and made:
            inputs = self._apart(inputs, made[0], into)
        call.inputs = len(inputs)
        told_by = {"QuantizeLinear": 2, "CastLike": 1}.get(spelling)
        if told_by is not None and told_by < len(given):
            call.code_type = self._types.get(given[told_by], "")
        self._prepare(call, inputs, names, where)
        run = self._implementation(call, proto)
        if run is None:
            raise UnsupportedError(
                f"{label(call)}: {reason(spelling)}", hint="the graph can be checked, but not run backward"
            )
        outputs = [prefix + name if name else "" for name in made]
        names.update((name, prefix + name) for name in made if name)
        step = Step(OnnxNode(call, run), tuple(inputs), tuple(outputs), tuple(made))
        into.steps.append(step)
        self.steps.append(step)

    def _apart(self, inputs: list[str], made: str, into: Program) -> list[str]:
        """The leaves that a node reads: of its own where the stored tensor holds several parameters."""
        turns: Counter[str] = Counter()
        found = []
        for name in inputs:
            leaf = into.leaves.get(name)
            owner = self._owned.apart(leaf.stored, made, turns[leaf.stored]) if leaf is not None else None
            if leaf is not None:
                turns[leaf.stored] += 1
            if leaf is None or owner is None or (owner.name == leaf.name and leaf.trainable != owner.buffer):
                found.append(name)
                continue
            key = f"{owner.name} ({leaf.stored})"
            if key not in into.leaves:
                into.leaves[key] = Leaf(owner.name, leaf.tensor.clone(), not owner.buffer, leaf.stored)
                self.leaves.append(into.leaves[key])
            found.append(key)
        return found

    def _prepare(self, call: Call, inputs: list[str], names: Mapping[str, str], where: str) -> None:
        """Make the attributes runnable: tensors of torch, programs for subgraphs and inputs for what those read."""
        captured: dict[str, str] = {}
        for name, value in list(call.attrs.items()):
            if hasattr(value, "node") and hasattr(value, "initializer"):
                free = sorted(free_names(value))
                captured |= {raw: self._read(text(raw), names, where) for raw in map(text, free)}
                call.attrs[name] = self.program(value, [*map(text, free)] or [""])
            elif hasattr(value, "data_type"):
                call.attrs[name] = to_torch(self._reader.read(value, call.name, "constant"), self.budget)
            elif hasattr(value, "values") and hasattr(value, "indices"):
                call.attrs["value"] = to_torch(self._reader.read_sparse(value, call.name), self.budget)
        call.captured = tuple(captured)
        inputs += captured.values()

    def _implementation(self, call: Call, proto: NodeProto) -> Implementation | None:
        found = IMPLEMENTATIONS.get(call.spelling) or tabled(call.spelling)
        return found or bodies.expanded(self, call, proto)

    # --- functions --------------------------------------------------------------------------------------------

    def _inline(self, proto: NodeProto, body: Any, names: dict[str, str], into: Program, prefix: str) -> None:
        """The nodes of a function in the place of its call, their names made unique."""
        self._calls += 1
        inner_prefix = f"{prefix}{text(body.name)}#{self._calls}/"
        given = [text(name) for name in proto.input]
        inner: dict[str, str] = {}
        for at, name in enumerate(body.input):
            outside = given[at] if at < len(given) else ""
            inner[text(name)] = self._read(outside, names, f"a call of {shown(body.name)}") if outside else ""
        outer = self._opsets, self._given
        own = {("" if e.domain == "ai.onnx" else text(e.domain)): e.version for e in body.opset_import}
        self._given = attributes(body.attribute_proto, {}) | attributes(proto.attribute, self._given)
        self._opsets = self._opsets | own
        try:
            for node in ordered(body.node, body.input, f"function {shown(body.name)}"):
                self._node(node, inner, into, inner_prefix)
        finally:
            self._opsets, self._given = outer
        for name, result in zip(proto.output, body.output, strict=False):
            if name:
                names[text(name)] = self._read(text(result), inner, f"function {shown(body.name)}")

    def function(self, body: Any, opset: int, given: dict[str, Any]) -> Program:
        """A function's body as a program of its own, called with values in the order of its inputs."""
        inputs = tuple(text(name) for name in body.input)
        made = Program(inputs, tuple(text(name) for name in body.output))
        names = {name: name for name in inputs}
        outer = self._opsets, self._given, self.steps
        own = {("" if e.domain == "ai.onnx" else text(e.domain)): e.version for e in body.opset_import}
        self._opsets, self._given, self.steps = {"": opset} | own, given, []
        try:
            for node in ordered(body.node, inputs, f"function {shown(body.name)}"):
                self._node(node, names, made)
        finally:
            self._opsets, self._given, self.steps = outer
        made.outputs = tuple(names.get(name, "") for name in made.outputs)
        made.plan_release()
        return made
