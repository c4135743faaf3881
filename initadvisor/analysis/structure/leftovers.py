"""Parameters that sit in no weight slot: scales, position embeddings, tokens, tables, further biases."""

from __future__ import annotations

from collections.abc import Iterator

from initadvisor.analysis.structure.biases import ADDS
from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.naming import layer_name, other_names
from initadvisor.analysis.structure.weights import Term
from initadvisor.graph import Layer, Layout, Node

_SCALES = frozenset({"mul", "reversed_mul", "div", "reversed_div", "pow", "reversed_pow"})
_FUSED_SCALES = frozenset({"addcmul", "addcdiv"})
_JOINS = frozenset(
    {"cat", "stack", "where", "masked_fill", "setitem", "index_put", "scatter", "masked_scatter", "copy"}
)
_PRODUCTS = frozenset({"matmul", "reversed_matmul", "einsum"})
_PICKS = frozenset({"index_select", "getitem", "gather", "gather_nd", "take"})


def read_leftovers(draft: Draft) -> None:
    """Enter a layer for every float parameter that the graph uses and no other layer holds."""
    for node, value, slot in _uses(draft):
        for term in draft.paths.of(value):
            parameter = draft.graph.parameters[term.parameter]
            if parameter.buffer or not parameter.is_float:
                continue
            owner = draft.owner.get(term.parameter)
            if owner is None and _is_frequency(term, len(parameter.shape), draft.graph.source):
                parameter.buffer = True
            elif owner is None:
                _enter(draft, node, value, slot, term.parameter)
            elif owner.kind in ("scale", "table") and owner.weight == term.parameter and owner.role != "weight_gain":
                draft.add(owner, _site(draft, owner, node, value))


def _uses(draft: Draft) -> Iterator[tuple[Node, int, str]]:
    """Every place where a signal node reads a value made of parameters, outside what is already explained."""
    for node in draft.wiring.nodes:
        if not node.outputs or draft.wiring.static[node.outputs[0]] or node.id in draft.bias_nodes:
            continue
        for slot, value in draft.wiring.slots(node):
            if value is not None and draft.paths.of(value):
                yield node, value, slot


def _enter(draft: Draft, node: Node, value: int, slot: str, name: str) -> None:
    parameter = draft.graph.parameters[name]
    kind, role = _kind(draft, node, slot, value)
    layer = Layer(
        name=layer_name(parameter, node.scope),
        op=node.op,
        kind=kind,  # type: ignore[arg-type]
        weight=name,
        node=node.id,
        role=role,
        scope=node.scope,
    )
    layer.tied_to = other_names(parameter, layer.name)
    if kind == "embedding" and len(parameter.shape) > 1:
        layer.layout = Layout(out_axes=tuple(range(1, len(parameter.shape))), in_axes=(), batch_axes=(0,))
        layer.fan_in, layer.fan_out = layer.layout.fan_in(parameter.shape), layer.layout.fan_out(parameter.shape)
    draft.add(layer, _site(draft, layer, node, value))


def _site(draft: Draft, layer: Layer, node: Node, value: int) -> Site:
    signal = next((v for v in node.inputs if v is not None and v != value and not draft.wiring.static[v]), None)
    return Site(layer, node.id, signal, node.outputs[0] if node.outputs else None)


def _kind(draft: Draft, node: Node, slot: str, value: int) -> tuple[str, str | None]:
    """(kind, role) of a parameter by the operator that reads it."""
    if node.op in _SCALES or (node.op in _FUSED_SCALES and slot != "input"):
        return "scale", None
    if node.op in _FUSED_SCALES:
        return "table", "bias"
    if node.op == "prelu":
        return "scale", "activation_slope"
    if node.op in ADDS or node.op in ("sub", "reversed_sub"):
        return "table", _added_role(draft, node, value)
    if node.op in _JOINS:
        return "table", "token"
    if node.op in _PICKS:
        return "embedding", None
    if slot in ("attn_mask", "attention_bias") or (node.op in _PRODUCTS and draft.paths.of(value)[0].picked):
        return "table", "relative_position"
    if "bias" in slot:
        return "table", "bias"
    return "table", None


def _added_role(draft: Draft, node: Node, value: int) -> str | None:
    """position for a table with one row a place, bias for one number a channel."""
    shape = draft.wiring.shape(value) or ()
    own = [d for d in shape if d != 1]
    return "position" if len(own) > 1 else "bias"


def _is_frequency(term: Term, rank: int, source: str) -> bool:
    """Whether a tensor is one side of an outer product of known vectors: rotary frequencies that a file stores."""
    return source == "onnx" and rank == 1 and term.how in ("einsum", "outer", "matmul")
