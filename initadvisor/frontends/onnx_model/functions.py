"""Model-local functions, read in the place of their calls after the expansion has been counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.errors import FormatError, LimitError
from initadvisor.frontends.onnx_model.attributes import attributes
from initadvisor.frontends.onnx_model.names import ABSENT, Binding, Names
from initadvisor.frontends.onnx_model.ordering import ordered
from initadvisor.frontends.onnx_model.text import shown, text

if TYPE_CHECKING:
    from onnx import FunctionProto, ModelProto, NodeProto

    from initadvisor.frontends.onnx_model.builder import Builder

Key = tuple[str, str, str]
Functions = dict[Key, "FunctionProto"]

_DEPTH_LIMIT = 100
"""Functions that call functions; the deepest real model seen has 11."""


def functions(model: ModelProto, limit: int) -> Functions:
    """The functions of a model by domain, name and overload, once their expansion has been counted.

    Raises LimitError where expanding every call would make more than `limit` nodes or nest too deeply, FormatError
    where a function calls itself or is defined twice.
    """
    found: Functions = {}
    for function in model.functions:
        key = function_key(function.domain, function.name, function.overload)
        if key in found:
            raise FormatError(f"function {shown(key[1])} is defined twice")
        found[key] = function
    if not found:
        return found
    calls = {key: _calls(function.node) for key, function in found.items()}
    sizes = _sizes(calls)
    total = sum(count * sizes.get(key, 1) for key, count in _calls(model.graph.node).items())
    if total > limit:
        raise LimitError(f"the model has {total:,} nodes with its functions expanded, more than the limit of {limit:,}")
    return found


def function_key(domain: str | bytes, name: str | bytes, overload: str | bytes) -> Key:
    """What tells functions apart; the standard domain has two spellings."""
    known = text(domain)
    return ("" if known == "ai.onnx" else known, text(name), text(overload))


def read_call(
    builder: Builder,
    proto: NodeProto,
    function: FunctionProto,
    inputs: Sequence[Binding | None],
    attrs: dict[str, Any],
    names: Names,
) -> None:
    """Read the nodes of a function in the place of a call of it."""
    inner = Names(None, {})
    for name, binding in zip(function.input, [*inputs, *[None] * len(function.input)], strict=False):
        inner.bind(text(name), ABSENT if binding is None else binding)
    own = {("" if e.domain == "ai.onnx" else text(e.domain)): e.version for e in function.opset_import}
    outer = builder.opsets, builder.given
    builder.given = attributes(function.attribute_proto, {}) | attrs
    builder.opsets = builder.opsets | own
    try:
        where = f"function {shown(function.name)}"
        for node in ordered(function.node, function.input, where):
            builder.node(node, inner)
        for name, result in zip(proto.output, function.output, strict=False):
            if name:
                names.bind(text(name), builder.values.resolve(text(result), inner, where))
    finally:
        builder.opsets, builder.given = outer


def _sizes(calls: dict[Key, Counter[Key]]) -> dict[Key, int]:
    """How many nodes each function expands to, callees first; iterative, since calls may nest deeply."""
    sizes: dict[Key, int] = {}
    depth: dict[Key, int] = {}
    open_calls: dict[Key, None] = {}
    for start in calls:
        stack = [start]
        while stack:
            key = stack[-1]
            if key in sizes:
                stack.pop()
                continue
            open_calls[key] = None
            missing = [callee for callee in calls[key] if callee in calls and callee not in sizes]
            for callee in missing:
                if callee in open_calls:
                    raise FormatError(f"function {shown(callee[1])} calls itself")
            if missing:
                stack.append(missing[0])
                continue
            sizes[key] = sum(count * sizes.get(callee, 1) for callee, count in calls[key].items())
            depth[key] = 1 + max((depth.get(callee, 0) for callee in calls[key]), default=0)
            if depth[key] > _DEPTH_LIMIT:
                raise LimitError(f"functions call functions more than {_DEPTH_LIMIT} deep")
            del open_calls[key]
            stack.pop()
    return sizes


def _calls(nodes: Iterable[NodeProto]) -> Counter[Key]:
    """How often each operator is called, subgraphs included."""
    found: Counter[Key] = Counter()
    for node in nodes:
        found[function_key(node.domain, node.op_type, node.overload)] += 1
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found.update(_calls(attribute.g.node))
            for graph in attribute.graphs:
                found.update(_calls(graph.node))
    return found
