"""ONNX nodes become canonical nodes, one pass in execution order.

A name in an ONNX graph is bound either to a `Value` that flows or to a `Tensor` whose elements are known. What a
known tensor is (parameter, buffer or constant) is decided where it is used, since only the use can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from initadvisor.errors import FormatError, LimitError
from initadvisor.frontends.onnx_model import contrib, control, folded_norms, integer, quantized, recurrent
from initadvisor.frontends.onnx_model.attributes import attributes
from initadvisor.frontends.onnx_model.canonical import Call, canonical, plain
from initadvisor.frontends.onnx_model.completion import complete
from initadvisor.frontends.onnx_model.exporters import Provenance
from initadvisor.frontends.onnx_model.folding import FOLD_ELEMENTS, RULES, fold
from initadvisor.frontends.onnx_model.operands import Use, is_named, role
from initadvisor.frontends.onnx_model.ordering import ordered
from initadvisor.frontends.onnx_model.pieces import moved, recurrent_moves
from initadvisor.frontends.onnx_model.shapes import Declared, declared
from initadvisor.frontends.onnx_model.tensors import CONSTANT_ELEMENTS, Tensor, TensorReader, known_tensor
from initadvisor.frontends.onnx_model.text import shown, text
from initadvisor.graph import Event, Graph, Node, Shape, Value
from initadvisor.ops import ONNX, OPERATORS, Operator

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

Binding = int | Tensor
"""The id of a Value that flows, or a tensor whose elements are known."""


PENDING = -1
"""Stands for a parameter among a node's inputs until all uses are known and `parameters.assign` names it."""


class Names:
    """The names that one graph defines, and through it those of the graphs around it."""

    __slots__ = ("_outer", "_own", "declared", "readers")

    def __init__(self, outer: Names | None, shapes: Declared) -> None:
        self._own: dict[str, Binding] = {}
        self._outer = outer
        self.declared = shapes
        self.readers: integer.Readers | None = None

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


class Builder:
    """Fills one `Graph` from the protobuf message of a model."""

    def __init__(
        self, graph: Graph, reader: TensorReader, origin: Provenance, opsets: dict[str, int], limit: int
    ) -> None:
        self.graph = graph
        self.reader = reader
        self.origin = origin
        self.opsets = opsets
        self.uses: list[Use] = []
        self.protos: list[NodeProto] = []
        self._limit = limit
        self._constants: dict[int, int] = {}
        self._kept: list[Tensor] = []
        self.scope: tuple[str, int] = ("", 0)
        self.folded_norms = 0
        self.forwarded: dict[str, Binding] = {}

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
        made = moved(text(proto.output[0]), proto.op_type, tensors, [self.known(b) for b in found], attributes(proto))
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
        inputs = [self.resolve(text(name), names, proto) if name else None for name in proto.input]
        attrs = attributes(proto)
        outer = self.scope
        self.scope = self.origin.scope(proto) or outer
        try:
            if standard and self._known(proto, op_type, inputs, attrs, opset, names):
                return
            special = SPECIAL.get(spelling)
            if special is not None and special(self, proto, inputs, attrs, names):
                return
            if control.subgraphs(attrs):
                control.region(self, proto, spelling, inputs, attrs, names)
                return
            self.plain(proto, spelling, opset, inputs, attrs, names)
        finally:
            self.scope = outer

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
        attrs = {name: value for name, value in attrs.items() if not hasattr(value, "DESCRIPTOR")}
        if entry is None:
            found = [(f"input{i}", binding) for i, binding in enumerate(inputs)]
            return self.emit(proto, "opaque", spelling, found, attrs, names, None)
        placed, extra = place(entry, spelling, inputs, attrs)
        if entry.name == "index_select" and _is_table(inputs, attrs):
            entry, placed = EMBEDDING, [("indices", inputs[1]), ("weight", inputs[0])]
        first = next((binding for slot, binding in placed if slot == "input"), inputs[0] if inputs else None)
        weight = next((binding for slot, binding in placed if slot == "weight"), None)
        shapes = tuple(names.declared.get(text(name), (None, None))[1] for name in proto.output)
        call = Call(spelling, opset, self.shape(first), shapes, self.shape(weight))
        made = canonical(entry, call, attrs)
        return self.emit(proto, entry.name, spelling, placed + extra, made, names, entry, outputs)

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
            first = self.graph.values[outputs[0]]
            if first.shape is None or None in first.shape:
                first.shape = complete(op, entry.family, [self.shape(b) for _, b in inputs], attrs, first.shape)
        return node

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

    # --- known tensors ----------------------------------------------------------------------------------------

    def _known(
        self,
        proto: NodeProto,
        op_type: str,
        inputs: Sequence[Binding | None],
        attrs: dict[str, Any],
        opset: int,
        names: Names,
    ) -> bool:
        """Bind the output of a node that only makes or moves known tensors; False where it has to be a node."""
        if len(proto.output) != 1 or not proto.output[0]:
            return False
        output = text(proto.output[0])
        made: Tensor | None = None
        if op_type == "Constant":
            made = self._constant(output, attrs)
        elif op_type == "ConstantOfShape":
            made = self._filled(output, inputs, attrs)
        elif op_type == "Identity" and isinstance(inputs[0] if inputs else None, Tensor):
            made = inputs[0].renamed(output)  # type: ignore[union-attr]
        elif op_type in ("Shape", "Size") and inputs:
            made = self._dimensions(output, op_type, self.shape(inputs[0]), attrs)
        elif op_type in RULES and _foldable(inputs, self.origin):
            result = fold(op_type, [self.known(b) for b in inputs], attrs, opset)
            made = None if result is None else known_tensor(output, result)
        if made is None:
            return False
        names.bind(output, made)
        return True

    def _constant(self, name: str, attrs: dict[str, Any]) -> Tensor | None:
        value = attrs.get("value")
        if value is not None and hasattr(value, "raw_data"):
            proto: TensorProto = value
            return self.reader.read(proto, name, "constant")
        if attrs.get("sparse_value") is not None:
            return self.reader.read_sparse(attrs["sparse_value"], name)
        for key, dtype in (
            ("value_float", np.float32),
            ("value_floats", np.float32),
            ("value_int", np.int64),
            ("value_ints", np.int64),
        ):
            if key in attrs:
                return known_tensor(name, np.asarray(attrs[key], dtype))
        return None

    def _filled(self, name: str, inputs: Sequence[Binding | None], attrs: dict[str, Any]) -> Tensor | None:
        shape = self.known(inputs[0] if inputs else None, 64)
        if shape is None or shape.dtype.kind not in "iu" or shape.ndim != 1:
            return None
        if (shape < 0).any():
            raise FormatError(f"ConstantOfShape {shown(name)} has a negative dimension: {shape.tolist()[:8]}")
        proto = attrs.get("value")
        value = self.reader.read(proto, f"{name} (value)", "constant") if hasattr(proto, "raw_data") else None
        array = None if value is None else value.array()
        if value is not None and (array is None or array.size != 1):
            raise FormatError(f"ConstantOfShape {shown(name)}: its value is not one number")
        fill = 0.0 if array is None else float(array.reshape(-1)[0].real)
        dtype = "float32" if value is None else value.dtype
        weight = isinstance(inputs[0], Tensor) and inputs[0].origin == "initializer"
        return Tensor(name, dtype, tuple(int(d) for d in shape), "filled", None, fill=fill, direct=weight)

    def _dimensions(self, name: str, op_type: str, shape: Shape | None, attrs: dict[str, Any]) -> Tensor | None:
        if shape is None or any(size is None for size in shape):
            return None
        sizes = np.asarray(shape, np.int64).reshape(-1)
        if op_type == "Size":
            return known_tensor(name, np.asarray(np.prod(sizes), np.int64))
        return known_tensor(name, sizes[attrs.get("start", 0) : attrs.get("end", len(sizes))])


def place(
    entry: Operator, spelling: str, inputs: Sequence[Binding | None], attrs: dict[str, Any]
) -> tuple[list[tuple[str, Binding | None]], list[tuple[str, Binding | None]]]:
    """A node's inputs under the entry's slots, in their order; known inputs that name an attribute go into `attrs`.

    An input that names an attribute and is not known comes back as one of the extra inputs behind the slots.
    """
    declared_names = entry.onnx_inputs.get(spelling)
    order = declared_names.split() if declared_names is not None else list(entry.slots)
    slots: dict[str, Binding | None] = {}
    rest: list[tuple[str, Binding | None]] = []
    extra: list[tuple[str, Binding | None]] = []
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
    placed: list[tuple[str, Binding | None]] = [(s, slots.get(s)) for s in entry.slots if not s.endswith("...")]
    return placed + rest, extra


def _foldable(inputs: Sequence[Binding | None], origin: Provenance) -> bool:
    """Whether all are small and none is a weight: whole numbers, scalars, and what was computed from them."""
    for binding in inputs:
        if isinstance(binding, int) or (binding is not None and binding.size > FOLD_ELEMENTS):
            return False
        if binding is None or not binding.is_float or binding.origin == "derived":
            continue
        if binding.size > 1 or is_named(binding, origin):
            return False
    return any(binding is not None for binding in inputs)


def _is_table(inputs: Sequence[Binding | None], attrs: dict[str, Any]) -> bool:
    """Whether a Gather looks rows of a float table up: an embedding."""
    data, indices = (*inputs, None, None)[:2]
    if not isinstance(data, Tensor) or indices is None or not data.is_float or len(data.shape) < 2:
        return False
    if isinstance(indices, Tensor) and indices.size <= 1:
        return False  # one fixed row: a selection
    return int(attrs.get("axis", 0)) in (0, -len(data.shape))


def _repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]


EMBEDDING = OPERATORS["embedding"]
Special = Callable[[Builder, "NodeProto", Sequence[Binding | None], dict[str, Any], Names], bool]
SPECIAL: dict[str, Special] = {
    "If": control.branch,
    "Loop": control.loop,
    "Scan": control.scan,
    "LSTM": recurrent.translate,
    "GRU": recurrent.translate,
    "RNN": recurrent.translate,
    "DequantizeLinear": quantized.dequantize,
    "QuantizeLinear": quantized.quantize,
    "com.microsoft::QuantizeLinear": quantized.quantize,
    "com.microsoft::DequantizeLinear": quantized.dequantize,
    "Conv": folded_norms.convolution,
    "ConvTranspose": folded_norms.convolution,
    "com.microsoft::FusedConv": contrib.fused_convolution,
    "com.microsoft::FusedMatMul": contrib.fused_product,
    "com.microsoft::FusedGemm": contrib.fused_gemm,
    "com.microsoft::BiasGelu": contrib.biased_gelu,
    "com.microsoft::FastGelu": contrib.biased_gelu,
    "com.microsoft::QGemm": contrib.quantized_gemm,
    "com.microsoft::MatMulNBits": contrib.blockwise_product,
    "MatMulInteger": integer.product,
    "ConvInteger": integer.product,
    "QLinearConv": quantized.convolution,
    "QLinearMatMul": quantized.product,
}
"""Operators that are more than one renamed node; each handler says False where the plain way will do."""
