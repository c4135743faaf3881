"""If, Loop and Scan: the nodes of their bodies are read like any others, tied to the outside at both ends.

A body that runs on values of its own (Loop, Scan) gets them from an entry node, which reads what goes in; what comes
out passes through an exit node. The graph stays acyclic: the way back of a carried value is not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.errors import FormatError
from initadvisor.frontends.onnx_model.initializers import bind_initializers
from initadvisor.frontends.onnx_model.names import Binding, Names
from initadvisor.frontends.onnx_model.shapes import declared
from initadvisor.frontends.onnx_model.text import shown, text
from initadvisor.ops import ONNX

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

    from initadvisor.frontends.onnx_model.builder import Builder


def subgraphs(attrs: dict[str, Any]) -> list[GraphProto]:
    """The graphs among a node's attributes."""
    found: list[GraphProto] = []
    for value in attrs.values():
        items = value if isinstance(value, tuple) else (value,)
        found += [item for item in items if hasattr(item, "initializer")]
    return found


def branch(
    builder: Builder, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names
) -> bool:
    """If: both branches are read and the node chooses between their results; a known condition picks its branch."""
    condition = builder.values.known(inputs[0] if inputs else None, 1)
    if condition is not None:
        chosen = attrs.get("then_branch" if bool(condition.reshape(-1)[0]) else "else_branch")
        results = _body(builder, proto, chosen, [], names)
        for name, result in zip(proto.output, results, strict=False):
            if name:
                names.bind(text(name), result)
        return True
    results = _body(builder, proto, attrs.get("then_branch"), [], names)
    results += _body(builder, proto, attrs.get("else_branch"), [], names)
    found = [("condition", inputs[0] if inputs else None), *(("captured...", result) for result in results)]
    builder.emit(proto, "if", "If", found, {}, names, ONNX["If"])
    return True


def loop(
    builder: Builder, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names
) -> bool:
    """Loop: trip count, condition and carried values in; carried values and collected ones out."""
    _around(builder, proto, "Loop", inputs, attrs.get("body"), names)
    return True


def scan(
    builder: Builder, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names
) -> bool:
    """Scan: states and slices of the scanned inputs in; before version 9 an optional length comes first."""
    body = attrs.get("body")
    if body is not None and len(inputs) == len(body.input) + 1:
        inputs = inputs[1:]
    _around(builder, proto, "Scan", inputs, body, names)
    return True


def region(
    builder: Builder,
    proto: NodeProto,
    spelling: str,
    inputs: Sequence[Binding | None],
    attrs: dict[str, Any],
    names: Names,
) -> None:
    """Any other operator with bodies (SequenceMap, custom ones): each body reads what the node reads."""
    for graph in subgraphs(attrs):
        _around(builder, proto, spelling, inputs, graph, names)


def _around(
    builder: Builder,
    proto: NodeProto,
    spelling: str,
    inputs: Sequence[Binding | None],
    body: GraphProto | None,
    names: Names,
) -> None:
    entry = ONNX.get(spelling)
    op = entry.name if entry is not None else "opaque"
    slots = list(entry.slots) if entry is not None else ["inputs..."]
    found = [(slots[min(i, len(slots) - 1)], binding) for i, binding in enumerate(inputs)]
    shapes = {} if body is None else declared(body)
    fresh = [] if body is None else [text(value.name) for value in body.input]
    values = []
    for name in fresh:
        dtype, shape = shapes.get(name, (None, None))
        values.append(builder.values.add(name, shape, dtype, "result"))
    builder.emit(proto, op, spelling, found, {"part": "entry"}, names, entry, values)
    results = _body(builder, proto, body, values, names)
    builder.emit(proto, op, spelling, [(slots[-1], result) for result in results], {"part": "exit"}, names, entry)


def _body(
    builder: Builder, proto: NodeProto, body: GraphProto | None, values: Sequence[int], outer: Names
) -> list[Binding]:
    """Read the nodes of a subgraph whose inputs hold `values`; gives what its outputs are bound to."""
    where = f"the body of node {shown(proto.name)} ({shown(proto.op_type)})"
    if body is None:
        raise FormatError(f"{where} is missing")
    names = Names(outer, declared(body))
    for value, at in zip(body.input, values, strict=False):
        names.bind(text(value.name), at)
    bind_initializers(body, builder.reader, names)
    builder.nodes(body, names, where)
    return [builder.values.resolve(text(value.name), names, where) for value in body.output]
