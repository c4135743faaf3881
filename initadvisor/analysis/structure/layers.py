"""Layers from weight slots: linear, convolution, embedding, attention projections, low-rank pairs, expert banks."""

from __future__ import annotations

from math import prod

from initadvisor.analysis.structure.claims import Claim, claims
from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.naming import layer_name, other_names
from initadvisor.graph import Block, Layer, Layout, Node, Parameter

MAX_BLOCKS = 1024
"""Parts of one weight that are listed by name."""

_ATTENTION_BIAS = {"in_proj_weight": "in_proj_bias", "out_proj_weight": "out_proj_bias", "weight": "bias"}
_ATTENTION_INPUT = {"k_proj_weight": "key", "v_proj_weight": "value"}
_ATTENTION_ROLE = {
    "in_proj_weight": "qkv",
    "out_proj_weight": "attention_out",
    "q_proj_weight": "q",
    "k_proj_weight": "k",
    "v_proj_weight": "v",
}


def read_weights(draft: Draft) -> None:
    """Enter every layer whose weight sits in a weight slot, with one site for each application."""
    found = list(claims(draft.wiring, draft.paths))
    matrices = {c.term.parameter for c in found if draft.wiring.family(draft.wiring.nodes[c.node]) == "weighted"}
    for claim in found:
        node = draft.wiring.nodes[claim.node]
        parameter = draft.graph.parameters[claim.term.parameter]
        if parameter.buffer:
            continue
        if node.op == "index_select" and claim.term.parameter in matrices and len(parameter.shape) > 2:
            continue  # a signal picks matrices out of a bank; the product that uses them is the layer
        _enter(draft, claim, node, parameter)
    for layer in draft.graph.layers:
        _bank_blocks(draft, layer)
    for sites in draft.at_node.values():
        _pair_adapters([site.layer for site in sites])


def _enter(draft: Draft, claim: Claim, node: Node, parameter: Parameter) -> None:
    term = claim.term
    embedding = draft.wiring.family(node) in ("embedding", "select")
    key = (parameter.name,)
    layer = draft.keyed.get(key)
    new = layer is None
    if layer is None:
        layer = _new_layer(draft, claim, node, parameter, embedding)
        draft.keyed[key] = layer
    site = None
    if term.part == "delta":
        site = Site(layer, node.id, _input_of(draft, node, claim), None)
    elif term.part != "gain" and layer.kind != "scale":
        site = Site(layer, node.id, _input_of(draft, node, claim), _output_of(node, claim), _channels(claim))
    draft.add(layer, site)
    if not new:
        _tie(layer, node, parameter, claim, embedding)
    if claim.region is not None and claim.layout is not None and claim.region[0] in claim.layout.out_axes:
        _add_block(layer, claim, parameter.shape)


def _new_layer(draft: Draft, claim: Claim, node: Node, parameter: Parameter, embedding: bool) -> Layer:
    term, layout = claim.term, claim.layout
    gain = term.part == "gain"
    layer = Layer(
        name=layer_name(parameter, node.scope),
        op=node.op,
        kind="scale" if gain else "embedding" if embedding else "linear",
        weight=parameter.name,
        node=node.id,
        layout=None if gain else layout,
        fan_in=None if gain else claim.fan_in,
        fan_out=None if gain else claim.fan_out,
        scope=node.scope,
    )
    layer.tied_to = other_names(parameter, layer.name)
    if layout is not None and not gain:
        layer.groups = layout.groups
        layer.receptive_field = layout.receptive_field(parameter.shape)
    if gain:
        layer.role = "weight_gain"
        layer.name = parameter.name
    if term.factor is not None and term.part == "delta" and layout is not None:
        layer.role = "lora_b" if _keeps_out(claim, layout) else "lora_a"
    if term.how:
        layer.attrs["reparametrised"] = term.how
    if term.scale is None or term.scale != 1.0:
        layer.attrs["weight_scale"] = term.scale
    if term.scale_free and not gain and term.how != "weight_norm":
        layer.scale_invariant = True
    role = _ATTENTION_ROLE.get(claim.slot)
    if role is not None and not gain:
        layer.role = role
        if claim.slot == "in_proj_weight" and claim.region is None:
            _thirds(layer, parameter.shape)
    if term.part == "weight":
        layer.bias = _slot_bias(draft, node, claim)
    return layer


def _keeps_out(claim: Claim, layout: Layout) -> bool:
    """Whether the axis that a low-rank factor shares with the product is the output axis."""
    view = claim.term.view
    if view is None:
        return claim.term.factor == "left"
    return any(f.axis in layout.out_axes for axis in view.axes for f in axis)


def _slot_bias(draft: Draft, node: Node, claim: Claim) -> str | None:
    """The parameter in the bias slot that goes with a weight slot."""
    slot = _ATTENTION_BIAS.get(claim.slot, "bias")
    bias = draft.paths.weight(draft.wiring.slot(node, slot))
    if bias is None or draft.graph.parameters[bias.parameter].buffer:
        return None
    return bias.parameter


def _input_of(draft: Draft, node: Node, claim: Claim) -> int | None:
    wiring = draft.wiring
    if wiring.family(node) == "attention":
        if claim.slot == "out_proj_weight":
            return None
        return (
            wiring.slot(node, _ATTENTION_INPUT.get(claim.slot, "query")) if claim.slot != "weight" else node.inputs[0]
        )
    weight_values = {v for v in node.inputs if v is not None and draft.paths.of(v)}
    for value in node.inputs:
        if value is not None and value not in weight_values:
            return value
    return next((v for v in node.inputs if v is not None and not wiring.static[v]), None)


def _output_of(node: Node, claim: Claim) -> int | None:
    inner = claim.slot in _ATTENTION_ROLE and claim.slot != "out_proj_weight"
    return None if inner or not node.outputs else node.outputs[0]


def _channels(claim: Claim) -> tuple[int, int] | None:
    """The output channels that an application of a part of the weight makes."""
    if claim.region is None or claim.layout is None or claim.region[0] not in claim.layout.out_axes:
        return None
    return claim.region[1], claim.region[2]


def _add_block(layer: Layer, claim: Claim, shape: tuple[int, ...]) -> None:
    assert claim.region is not None
    axis, start, stop = claim.region
    if len(layer.blocks) >= MAX_BLOCKS or any((b.axis, b.start, b.stop) == claim.region for b in layer.blocks):
        return
    if any(b.start < stop and start < b.stop for b in layer.blocks):
        return  # overlapping parts (k and v together, then apart) are not blocks of one matrix
    if claim.fan_in is None or claim.fan_out is None:
        return
    block = Block(str(len(layer.blocks)), axis, start, stop, claim.fan_in, claim.fan_out)
    layer.blocks = (*layer.blocks, block)
    layer.fan_in, layer.fan_out = claim.fan_in, claim.fan_out


def _thirds(layer: Layer, shape: tuple[int, ...]) -> None:
    """q, k and v of a packed in-projection, one after the other along the output axis."""
    if len(shape) != 2 or shape[0] % 3 or layer.layout is None or layer.layout.out_axes != (0,):
        return
    width = shape[0] // 3
    layer.blocks = tuple(
        Block(name, 0, i * width, (i + 1) * width, float(shape[1]), float(width)) for i, name in enumerate("qkv")
    )
    layer.fan_in, layer.fan_out = float(shape[1]), float(width)


def _bank_blocks(draft: Draft, layer: Layer) -> None:
    """The matrices of a bank (one for each expert) as blocks."""
    if layer.layout is None or layer.weight is None or layer.blocks or layer.kind != "linear":
        return
    shape = draft.graph.parameters[layer.weight].shape
    banks = [a for a in layer.layout.batch_axes if shape[a] > 1]
    if len(banks) != 1 or shape[banks[0]] > MAX_BLOCKS or prod(shape) == 0:
        return
    fan_in, fan_out = layer.layout.fan_in(shape), layer.layout.fan_out(shape)
    layer.fan_in, layer.fan_out = fan_in, fan_out
    layer.blocks = tuple(Block(f"expert.{i}", banks[0], i, i + 1, fan_in, fan_out) for i in range(shape[banks[0]]))


def _pair_adapters(layers: list[Layer]) -> None:
    """Link the factors of a low-rank correction that is added to a weight before it is used."""
    base = [x for x in layers if x.role not in ("lora_a", "lora_b")]
    down = [x for x in layers if x.role == "lora_a"]
    up = [x for x in layers if x.role == "lora_b"]
    for a, b in zip(down, up, strict=False):
        b.attrs["pair"] = a.name
    for layer in (*down, *up):
        layer.attrs["adapts"] = base[0].name if base else ""


def _tie(layer: Layer, node: Node, parameter: Parameter, claim: Claim, embedding: bool) -> None:
    """A second use of another kind: an embedding read back as the output projection."""
    if embedding == (layer.kind == "embedding"):
        return
    if embedding:  # the product came first in the graph; the table is still what the tensor is
        layer.attrs["tied_fan_in"], layer.attrs["tied_fan_out"] = layer.fan_in, layer.fan_out
        layer.attrs["tied_node"] = layer.node
        layer.kind, layer.op, layer.node, layer.scope = "embedding", node.op, node.id, node.scope
        layer.layout, layer.fan_in, layer.fan_out = claim.layout, claim.fan_in, claim.fan_out
    elif layer.kind == "embedding":
        layer.attrs["tied_fan_in"], layer.attrs["tied_fan_out"] = claim.fan_in, claim.fan_out
        layer.attrs["tied_node"] = node.id
        if node.scope and node.scope != layer.scope and node.scope not in layer.tied_to:
            layer.tied_to = (*layer.tied_to, node.scope)
