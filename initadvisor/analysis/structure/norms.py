"""Normalization layers, as one operator or decomposed, with the scale and shift that follow them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from initadvisor.analysis.structure.draft import Draft, Norm, Site
from initadvisor.analysis.structure.naming import norm_name
from initadvisor.analysis.structure.norm_patterns import Decomposed, decomposed_norms
from initadvisor.analysis.structure.weights import Term
from initadvisor.analysis.structure.wiring import SAME_PLACES
from initadvisor.graph import Layer, Node

_WHOLE = frozenset(
    {
        "batch_norm",
        "instance_norm",
        "layer_norm",
        "rms_norm",
        "group_norm",
        "skip_layer_norm",
        "normalize",
        "mean_variance_norm",
        "local_response_norm",
    }
)
SCALE_ERASING = _WHOLE - {"local_response_norm"}
"""Norms whose result does not depend on the scale of their input."""

_REGROUP = frozenset({"reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose"})
_ATTRS = ("eps", "momentum", "num_groups", "normalized_shape", "training", "use_input_stats", "dim")
_OF_MODULE = ("synchronised", "evaluating")
"""What only a live module tells: set by its frontend."""


def read_norms(draft: Draft) -> None:
    """Enter every normalization of a signal as a layer of kind "norm", with or without parameters."""
    found = {d.last: d for d in decomposed_norms(draft.wiring)}
    for node in draft.wiring.nodes:
        if node.op in _WHOLE and node.inputs and node.inputs[0] is not None and node.outputs:
            if not draft.wiring.static[node.outputs[0]]:
                _whole(draft, node)
        elif node.id in found:
            _decomposed(draft, node, found[node.id])


def _whole(draft: Draft, node: Node) -> None:
    wiring = draft.wiring
    weight, bias = (draft.paths.weight(wiring.slot(node, name)) for name in ("weight", "bias"))
    attrs: dict[str, Any] = {k: node.attrs[k] for k in (*_ATTRS, *_OF_MODULE) if node.attrs.get(k) is not None}
    for slot in ("running_mean", "running_var"):
        running = draft.paths.weight(wiring.slot(node, slot))
        if running is not None:
            draft.graph.parameters[running.parameter].buffer = True
            attrs[slot] = running.parameter
    source = node.inputs[0]
    assert source is not None
    op, nodes, output = node.op, {node.id}, node.outputs[0]
    grouped = _grouped(draft, node)
    inner: tuple[Term | None, ...] = ()
    if grouped is not None:
        op, attrs["num_groups"], inner = "group_norm", grouped, (weight, bias)
        weight = bias = None
    norm = Norm(op, source, output, nodes)
    if weight is None and bias is None:
        weight, bias = _affine(draft, norm, regroup=grouped is not None)
        if grouped is not None and weight is None:
            weight, bias = inner
    _enter(draft, node, norm, weight, bias, attrs)
    for term in inner:
        if term is not None and norm.layer is not None:
            draft.owner.setdefault(term.parameter, norm.layer)


def _grouped(draft: Draft, node: Node) -> int | None:
    """The group count where an instance norm over (N, groups, rest) stands for a group norm, as exporters write it."""
    if node.op != "instance_norm" or node.inputs[0] is None:
        return None
    producer = draft.wiring.producer(node.inputs[0])
    shape = draft.wiring.shape(node.inputs[0])
    if producer is None or producer.op != "reshape" or shape is None or len(shape) != 3 or shape[1] is None:
        return None
    return int(shape[1])


def _decomposed(draft: Draft, node: Node, found: Decomposed) -> None:
    norm = Norm(found.op, found.input, node.outputs[0], set(found.nodes))
    weight, bias = _affine(draft, norm, regroup=False)
    attrs: dict[str, Any] = {"decomposed": True}
    if found.eps is not None:
        attrs["eps"] = found.eps
    _enter(draft, node, norm, weight, bias, attrs)


def _affine(draft: Draft, norm: Norm, *, regroup: bool) -> tuple[Term | None, Term | None]:
    """The scale and shift by parameters behind a norm that has none of its own; moves the norm's output."""
    weight = bias = None
    for op_names in (("mul", "reversed_mul"), ("add", "reversed_add")):
        step = _next_with_parameter(draft, norm.output, op_names, regroup, norm.op == "normalize")
        if step is None:
            continue
        node, term, passed = step
        norm.nodes.update(passed)
        norm.output = node.outputs[0]
        if op_names[0] == "mul":
            weight = term
        else:
            bias = term
    return weight, bias


def _next_with_parameter(
    draft: Draft, value: int, ops: tuple[str, ...], regroup: bool, single: bool
) -> tuple[Node, Term, list[int]] | None:
    wiring = draft.wiring
    passed: list[int] = []
    while True:
        readers = wiring.readers[value]
        if len(readers) != 1:
            return None
        node = wiring.nodes[readers[0][0]]
        passed.append(node.id)
        if node.op in ops:
            terms = [draft.paths.weight(v) for v in node.inputs if v is not None and v != value and wiring.static[v]]
            term = terms[0] if len(terms) == 1 else None
            if term is None or draft.graph.parameters[term.parameter].buffer:
                return None
            if single and draft.graph.parameters[term.parameter].size == 1:
                return None  # a temperature or logit scale behind an l2 normalization is a layer of its own
            return node, term, passed
        if node.op not in SAME_PLACES and not (regroup and node.op in _REGROUP):
            return None
        value = node.outputs[0]


def _enter(draft: Draft, node: Node, norm: Norm, weight: Term | None, bias: Term | None, attrs: dict[str, Any]) -> None:
    weight_name, bias_name = _own(draft, weight), _own(draft, bias)
    key: tuple[object, ...] = ("norm", weight_name, bias_name, attrs.get("running_mean"))
    if weight_name is None and bias_name is None and "running_mean" not in attrs:
        key = (*key, node.scope or node.id)
    layer = draft.keyed.get(key)
    if layer is None:
        if weight is not None and weight.offset:
            attrs["weight_offset"] = weight.offset
        layer = Layer(
            name=norm_name(weight_name or bias_name, attrs.get("running_mean"), node),
            op=norm.op,
            kind="norm",
            weight=weight_name,
            bias=bias_name,
            node=node.id,
            scope=node.scope,
            groups=_count(attrs.get("num_groups")),
            attrs={**attrs, "channels": _channels(draft, norm, weight_name)},
        )
        draft.keyed[key] = layer
    norm.layer = layer
    draft.add(layer, Site(layer, node.id, norm.input, norm.output))
    draft.add_norm(norm)


def _count(declared: Any) -> int:
    return declared if isinstance(declared, int) and declared > 0 else 1


def _own(draft: Draft, term: Term | None) -> str | None:
    if term is None or draft.graph.parameters[term.parameter].buffer:
        return None
    return term.parameter


def _channels(draft: Draft, norm: Norm, weight: str | None) -> int | None:
    if weight is not None:
        return draft.graph.parameters[weight].size
    shape = draft.wiring.shape(norm.input)
    if shape is None or len(shape) < 2:
        return None
    return shape[-1] if norm.op in ("layer_norm", "rms_norm", "normalize") else shape[1]


def norm_layers(draft: Draft) -> Iterator[Layer]:
    """Every norm layer."""
    return (layer for layer in draft.graph.layers if layer.kind == "norm")
