"""Model-local functions, expanded in place after their expansion has been counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from initadvisor.errors import FormatError, LimitError
from initadvisor.frontends.onnx_model.text import shown, text

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Key = tuple[str, str, str]

_DEPTH_LIMIT = 100
"""Functions that call functions; the deepest real model seen has 11."""


def expand_functions(model: ModelProto, limit: int) -> ModelProto:
    """The model with every call of a local function replaced by its body.

    Raises LimitError where that would make more than `limit` nodes, FormatError where a function calls itself or is
    defined twice. A function of another operator set version than the model's stays a call.
    """
    calls: dict[Key, Counter[Key]] = {}
    for function in model.functions:
        key = (_domain(function.domain), text(function.name), text(function.overload))
        if key in calls:
            raise FormatError(f"function {shown(key[1])} is defined twice")
        calls[key] = _calls(function.node)
    graph = _calls(model.graph.node)
    sizes = _sizes(calls)
    total = sum(count * sizes.get(key, 1) for key, count in graph.items())
    if total > limit:
        raise LimitError(f"the model has {total:,} nodes with its functions expanded, more than the limit of {limit:,}")
    if not any(key in calls for key in graph):
        return model
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # its C++ raises several kinds
        reason = str(error).split("\n")[0][:200]
        raise FormatError(f"the functions of the model cannot be expanded: {reason}") from None


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
        found[_domain(node.domain), text(node.op_type), text(node.overload)] += 1
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found.update(_calls(attribute.g.node))
            for graph in attribute.graphs:
                found.update(_calls(graph.node))
    return found


def _domain(domain: str | bytes) -> str:
    name = text(domain)
    return "" if name == "ai.onnx" else name
