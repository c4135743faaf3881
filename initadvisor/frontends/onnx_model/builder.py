"""ONNX nodes become canonical nodes, one pass in execution order.

A name in an ONNX graph is bound either to a `Value` that flows or to a `Tensor` whose elements are known. What a
known tensor is (parameter, buffer or constant) is decided where it is used, since only the use can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.errors import FormatError, LimitError
from initadvisor.frontends.onnx_model import control, integer
from initadvisor.frontends.onnx_model.attributes import attributes
from initadvisor.frontends.onnx_model.canonical import Call, canonical, formless
from initadvisor.frontends.onnx_model.completion import complete
from initadvisor.frontends.onnx_model.exporters import Provenance
from initadvisor.frontends.onnx_model.functions import Functions, function_key, read_call
from initadvisor.frontends.onnx_model.initializers import bind_initializers
from initadvisor.frontends.onnx_model.names import Binding, Names
from initadvisor.frontends.onnx_model.ordering import ordered
from initadvisor.frontends.onnx_model.pieces import moved, recurrent_moves
from initadvisor.frontends.onnx_model.placing import looks_up, place
from initadvisor.frontends.onnx_model.shapes import declared
from initadvisor.frontends.onnx_model.special import SPECIAL
from initadvisor.frontends.onnx_model.statics import static
from initadvisor.frontends.onnx_model.tensor_reader import TensorReader
from initadvisor.frontends.onnx_model.tensors import Tensor
from initadvisor.frontends.onnx_model.text import shown, text
from initadvisor.frontends.onnx_model.values import Values
from initadvisor.graph import Event, Graph, Node
from initadvisor.ops import ONNX, OPERATORS, Operator

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


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
        self.values = Values(graph, origin)
        self.protos: list[NodeProto] = []
        self._functions = functions
        self._limit = limit
        self.scope: tuple[str, int] = ("", 0)
        self.folded_norms = 0
        self.forwarded: dict[str, Binding] = {}
        self.given: dict[str, Any] = {}

    # --- graphs -----------------------------------------------------------------------------------------------

    def main(self, graph: GraphProto) -> None:
        """Read the model's graph: its inputs, nodes and outputs."""
        names = Names(None, declared(graph))
        known = bind_initializers(graph, self.reader, names)
        inputs = []
        for name in (text(value.name) for value in graph.input):
            if name not in known:
                inputs.append(self.values.declared(name, names, "input"))
                names.bind(name, inputs[-1])
        self.graph.inputs = tuple(inputs)
        self.nodes(graph, names, "the graph")
        results = (
            self.values.resolve(text(value.name), names, "the list of the graph's outputs") for value in graph.output
        )
        self.graph.outputs = tuple(self.values.output(result, position) for position, result in enumerate(results))

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
        found = [self.values.resolve(text(name), names, proto) for name in proto.input if name]
        tensors = [binding for binding in found if isinstance(binding, Tensor)]
        if not tensors or len(tensors) < len(found) or not tensors[0].is_float:
            return False
        attrs = attributes(proto.attribute, self.given)
        made = moved(text(proto.output[0]), proto.op_type, tensors, [self.values.known(b) for b in found], attrs)
        if made is not None:
            names.bind(text(proto.output[0]), made)
        return made is not None

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
        inputs = [self.values.read(text(name), names, proto) for name in proto.input]
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
            call = Call(
                spelling, opset, self.values.shape(first), shapes, self.values.shape(slots.get("weight")), bool(extra)
            )
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
            ids.append(self.values.operand(binding, entry, slot, at, position))
        if outputs is None:
            outputs = self.values.results(proto, names)
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
        complete(node, entry, outputs, [self.values.shape(binding) for binding in inputs], dtypes)
        shape = outputs[0].shape
        if node.op == "reshape" and shape is not None and None not in shape:
            node.attrs["shape"] = shape

    def step(
        self,
        proto: NodeProto,
        op: str,
        inputs: Sequence[tuple[str, Binding | None]],
        attrs: dict[str, Any],
        names: Names,
    ) -> int:
        """Add a node in the middle of what one ONNX node stands for; gives its result."""
        made = self.values.between(proto, op)
        self.emit(proto, op, text(proto.op_type), inputs, attrs, names, OPERATORS[op], [made])
        return made

    def note(self, kind: str, message: str, where: str | None = None) -> None:
        """Log something assumed while reading."""
        self.graph.events.append(Event(kind, message, where))
