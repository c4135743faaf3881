"""ONNX nodes become canonical nodes, one pass in execution order.

A name in an ONNX graph is bound either to a `Value` that flows or to a `Tensor` whose elements are known. What a
known tensor is (parameter, buffer or constant) is decided where it is used, since only the use can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from initadvisor.errors import FormatError, LimitError
from initadvisor.frontends.onnx_model import control, integer
from initadvisor.frontends.onnx_model.attributes import attributes
from initadvisor.frontends.onnx_model.canonical import Call, canonical, formless
from initadvisor.frontends.onnx_model.completion import complete
from initadvisor.frontends.onnx_model.exporters import Provenance
from initadvisor.frontends.onnx_model.folding import FOLD_ELEMENTS
from initadvisor.frontends.onnx_model.functions import Functions, function_key, read_call
from initadvisor.frontends.onnx_model.names import ABSENT, Binding, Names
from initadvisor.frontends.onnx_model.operands import Use, role
from initadvisor.frontends.onnx_model.ordering import ordered
from initadvisor.frontends.onnx_model.pieces import moved, recurrent_moves
from initadvisor.frontends.onnx_model.placing import looks_up, place
from initadvisor.frontends.onnx_model.shapes import Declared, declared
from initadvisor.frontends.onnx_model.special import SPECIAL
from initadvisor.frontends.onnx_model.statics import static
from initadvisor.frontends.onnx_model.tensor_reader import TensorReader
from initadvisor.frontends.onnx_model.tensors import CONSTANT_ELEMENTS, Tensor
from initadvisor.frontends.onnx_model.text import shown, text
from initadvisor.graph import Event, Graph, Node, Shape, Value
from initadvisor.ops import ONNX, OPERATORS, Operator

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

PENDING = -1
"""Stands for a parameter among a node's inputs until all uses are known and `parameters.assign` names it."""


class Builder:
    """Fills one `Graph` from the protobuf message of a model."""

    def __init__(
        self,
        graph: Graph,
        reader: TensorReader,
        origin: Provenance,
        opsets: dict[str, int],
        functions: Functions,
        limit: int,
    ) -> None:
        self.graph = graph
        self.reader = reader
        self.origin = origin
        self.opsets = opsets
        self.uses: list[Use] = []
        self.protos: list[NodeProto] = []
        self._functions = functions
        self._limit = limit
        self._constants: dict[int, int] = {}
        self._kept: list[Tensor] = []
        self.scope: tuple[str, int] = ("", 0)
        self.folded_norms = 0
        self.forwarded: dict[str, Binding] = {}
        self.given: dict[str, Any] = {}

    # --- graphs -----------------------------------------------------------------------------------------------

    def main(self, graph: GraphProto) -> None:
        """Read the model's graph: its inputs, nodes and outputs."""
        names = Names(None, declared(graph))
        known = self.tensors(graph, names)
        inputs = []
        for name in (text(value.name) for value in graph.input):
            if name not in known:
                inputs.append(self.value(name, names, "input"))
                names.bind(name, inputs[-1])
        self.graph.inputs = tuple(inputs)
        self.nodes(graph, names, "the graph")
        results = (self.resolve(text(value.name), names, "the list of the graph's outputs") for value in graph.output)
        self.graph.outputs = tuple(self._output(result, position) for position, result in enumerate(results))

    def tensors(self, graph: GraphProto, names: Names) -> set[str]:
        """Bind the initializers of a graph; raises FormatError where a name is given twice."""
        seen: set[str] = set()
        for proto in graph.initializer:
            name = text(proto.name)
            self._once(name, seen)
            names.bind(name, self.reader.read(proto, name, "initializer"))
        for sparse in graph.sparse_initializer:
            name = text(sparse.values.name)
            self._once(name, seen)
            names.bind(name, self.reader.read_sparse(sparse, name))
        inputs = [text(value.name) for value in graph.input]
        if len(set(inputs)) < len(inputs):
            raise FormatError(f"two inputs of the graph have the same name: {shown(_repeated(inputs))}")
        return seen

    def nodes(self, graph: GraphProto, names: Names, where: str) -> None:
        """Read the nodes of a graph whose inputs and initializers are bound."""
        if len(graph.node) > 2 * self._limit:
            raise LimitError(f"the model has {len(graph.node):,} nodes, more than the limit of {self._limit:,}")
        if any(proto.op_type in ("MatMulInteger", "ConvInteger") for proto in graph.node):
            names.readers = integer.Readers(graph)
        given = {text(v.name) for v in graph.input} | {text(t.name) for t in graph.initializer}
        given |= {text(s.values.name) for s in graph.sparse_initializer}
        arranged = {graph.node[at].output[0] for at in recurrent_moves(graph)}
        for proto in ordered(graph.node, given, where):
            if not (arranged and proto.output and proto.output[0] in arranged and self._arranged(proto, names)):
                self.node(proto, names)

    def _arranged(self, proto: NodeProto, names: Names) -> bool:
        """Bind a rearrangement of recurrent weights as the pieces it consists of."""
        found = [self.resolve(text(name), names, proto) for name in proto.input if name]
        tensors = [binding for binding in found if isinstance(binding, Tensor)]
        if not tensors or len(tensors) < len(found) or not tensors[0].is_float:
            return False
        attrs = attributes(proto.attribute, self.given)
        made = moved(text(proto.output[0]), proto.op_type, tensors, [self.known(b) for b in found], attrs)
        if made is not None:
            names.bind(text(proto.output[0]), made)
        return made is not None

    def enter(self, outer: Names, shapes: Declared) -> Names:
        """The names of a subgraph."""
        return Names(outer, shapes)

    def _once(self, name: str, seen: set[str]) -> None:
        if not name:
            raise FormatError("the model has an initializer without a name")
        if name in seen:
            raise FormatError(f"two initializers have the name {shown(name)}")
        seen.add(name)

    # --- nodes ------------------------------------------------------------------------------------------------

    def node(self, proto: NodeProto, names: Names) -> None:
        """Read one node and bind its outputs."""
        if self.forwarded and proto.output and (known := self.forwarded.get(text(proto.output[0]))) is not None:
            names.bind(text(proto.output[0]), known)
            return
        op_type, domain = text(proto.op_type), text(proto.domain)
        standard = domain in ("", "ai.onnx")
        spelling = op_type if standard else f"{domain}::{op_type}"
        opset = self.opsets.get("" if standard else domain, 1)
        inputs = [self._read(text(name), names, proto) if name else None for name in proto.input]
        attrs = attributes(proto.attribute, self.given) if proto.attribute else {}
        outer = self.scope
        if self.origin.exporter:
            self.scope = self.origin.scope(proto) or outer
        try:
            if self._functions and self._called(proto, inputs, attrs, names):
                return
            if standard and len(proto.output) == 1 and proto.output[0]:
                output = text(proto.output[0])
                made = static(self, output, op_type, inputs, attrs, opset)
                if made is not None:
                    names.bind(output, made)
                    return
            special = SPECIAL.get(spelling)
            if special is not None and special(self, proto, inputs, attrs, names):
                return
            if attrs and control.subgraphs(attrs):
                control.region(self, proto, spelling, inputs, attrs, names)
                return
            self.plain(proto, spelling, opset, inputs, attrs, names)
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            what = f"node {shown(proto.name)} ({shown(op_type)})"
            raise FormatError(
                f"{what} has attributes or inputs that its operator cannot have: {shown(str(error))}"
            ) from error
        finally:
            self.scope = outer

    def _called(self, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names) -> bool:
        body = self._functions.get(function_key(proto.domain, proto.op_type, proto.overload))
        if body is not None:
            read_call(self, proto, body, inputs, attrs, names)
        return body is not None

    def plain(
        self,
        proto: NodeProto,
        spelling: str,
        opset: int,
        inputs: Sequence[Binding | None],
        attrs: dict[str, Any],
        names: Names,
        entry: Operator | None = None,
        outputs: Sequence[int] | None = None,
    ) -> Node:
        """Read a node by its entry in the operator table, as an opaque node where there is none."""
        entry = entry or ONNX.get(spelling)
        if attrs:
            attrs = {name: value for name, value in attrs.items() if isinstance(value, int | float | str | tuple)}
        if entry is None:
            found = [(f"input{i}", binding) for i, binding in enumerate(inputs)]
            return self.emit(proto, "opaque", spelling, found, attrs, names, None)
        placed, extra = place(entry, spelling, inputs, attrs)
        if entry.name == "index_select" and looks_up(inputs, attrs):
            entry, placed = OPERATORS["embedding"], [("indices", inputs[1]), ("weight", inputs[0])]
        if attrs or not formless(entry, spelling):
            slots = dict(placed)
            first = slots.get("input", inputs[0] if inputs else None)
            shapes = tuple(names.declared.get(text(name), (None, None))[1] for name in proto.output)
            call = Call(spelling, opset, self.shape(first), shapes, self.shape(slots.get("weight")), bool(extra))
            attrs = canonical(entry, call, attrs)
        return self.emit(proto, entry.name, spelling, placed + extra, attrs, names, entry, outputs)

    def emit(
        self,
        proto: NodeProto,
        op: str,
        native: str,
        inputs: Sequence[tuple[str, Binding | None]],
        attrs: dict[str, Any],
        names: Names,
        entry: Operator | None,
        outputs: Sequence[int] | None = None,
    ) -> Node:
        """Add a node; makes and binds its output values unless they are given."""
        at = len(self.graph.nodes)
        if at >= self._limit:
            raise LimitError(f"the model has more than {self._limit:,} nodes")
        ids: list[int | None] = []
        for position, (slot, binding) in enumerate(inputs):
            ids.append(self.operand(binding, entry, slot, at, position))
        if outputs is None:
            outputs = self.results(proto, names, at)
        scope, call = self.scope
        node = Node(at, op, tuple(ids), tuple(outputs), attrs, scope, call, native)
        self.graph.nodes.append(node)
        self.protos.append(proto)
        for output in outputs:
            self.graph.values[output].producer = at
        if entry is not None and outputs:
            self._complete(node, entry, [binding for _, binding in inputs])
        return node

    def _complete(self, node: Node, entry: Operator, inputs: Sequence[Binding | None]) -> None:
        values = self.graph.values
        outputs = [values[output] for output in node.outputs]
        if all(value.dtype is not None and value.shape is not None and None not in value.shape for value in outputs):
            return
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        dtypes = [b.dtype if isinstance(b, Tensor) else values[b].dtype if b is not None else None for b in inputs]
        complete(node, entry, outputs, [self.shape(binding) for binding in inputs], dtypes)
        shape = outputs[0].shape
        if node.op == "reshape" and shape is not None and None not in shape:
            node.attrs["shape"] = shape

    def between(self, proto: NodeProto, what: str) -> int:
        """A value inside of what one ONNX node stands for."""
        return self.add_value(f"{text(proto.output[0])} ({what})", None, None, "result")

    def step(
        self,
        proto: NodeProto,
        op: str,
        inputs: Sequence[tuple[str, Binding | None]],
        attrs: dict[str, Any],
        names: Names,
    ) -> int:
        """Add a node in the middle of what one ONNX node stands for; gives its result."""
        made = self.between(proto, op)
        self.emit(proto, op, text(proto.op_type), inputs, attrs, names, OPERATORS[op], [made])
        return made

    def results(self, proto: NodeProto, names: Names, at: int) -> list[int]:
        """Values for a node's outputs, bound to their names; absent ones in between get a nameless value."""
        outputs = [text(name) for name in proto.output]
        while outputs and not outputs[-1]:
            outputs.pop()
        found = []
        for name in outputs:
            found.append(self.value(name, names, "result"))
            if name:
                names.bind(name, found[-1])
        return found

    # --- values -----------------------------------------------------------------------------------------------

    def _output(self, binding: Binding, position: int) -> int:
        found = self.operand(binding, None, "output", -1, position)
        return PENDING if found is None else found

    def value(self, name: str, names: Names, kind: Literal["input", "result"]) -> int:
        """A new value of the declared type and shape."""
        dtype, shape = names.declared.get(name, (None, None))
        return self.add_value(name, shape, dtype, kind)

    def add_value(
        self,
        name: str,
        shape: Shape | None,
        dtype: str | None,
        kind: Literal["input", "parameter", "constant", "result"],
        constant: np.ndarray | None = None,
    ) -> int:
        """A new value; gives its id."""
        at = len(self.graph.values)
        self.graph.values.append(Value(at, name, shape, dtype, kind, constant=constant))
        return at

    def _read(self, name: str, names: Names, proto: NodeProto) -> Binding | None:
        found = self.resolve(name, names, proto)
        return None if found is ABSENT else found

    def resolve(self, name: str, names: Names, where: NodeProto | str) -> Binding:
        """What a name is bound to; raises FormatError where nothing makes it."""
        found = names.find(name)
        if found is None:
            reader = where if isinstance(where, str) else f"node {shown(where.name)} ({shown(where.op_type)})"
            raise FormatError(f"{reader} reads {shown(name)}, which no input, initializer or node makes")
        return found

    def shape(self, binding: Binding | None) -> Shape | None:
        """The shape of what a name is bound to, where it is known."""
        if binding is None:
            return None
        return binding.shape if isinstance(binding, Tensor) else self.graph.values[binding].shape

    def known(self, binding: Binding | None, limit: int = FOLD_ELEMENTS) -> np.ndarray | None:
        """The elements of a small known tensor, else None."""
        return binding.array() if isinstance(binding, Tensor) and binding.size <= limit else None

    def operand(
        self, binding: Binding | None, entry: Operator | None, slot: str, node: int, position: int
    ) -> int | None:
        """The value that a node reads in a slot; a known tensor becomes a parameter, a buffer or a constant here."""
        if binding is None or isinstance(binding, int):
            return binding
        kind = role(binding, entry, slot, self.origin)
        if kind == "constant":
            if id(binding) not in self._constants:
                self._kept.append(binding)
                array = binding.array() if binding.size <= CONSTANT_ELEMENTS else None
                at = self.add_value(binding.name, binding.shape, binding.dtype, "constant", array)
                self._constants[id(binding)] = at
            return self._constants[id(binding)]
        self.uses.append(Use(binding, node, position, slot, kind == "buffer"))
        return PENDING

    def note(self, kind: str, message: str, where: str | None = None) -> None:
        """Log something assumed while reading."""
        self.graph.events.append(Event(kind, message, where))


def _repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
