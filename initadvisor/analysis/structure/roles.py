"""What each layer is for: stem, head, router, gate, squeeze-excite, feed-forward, tables of positions and tokens."""

from __future__ import annotations

from initadvisor.analysis.structure.attention import Attention
from initadvisor.analysis.structure.biases import ADDS
from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.gates import Gate
from initadvisor.analysis.structure.origins import Origins
from initadvisor.analysis.structure.residual import Addition
from initadvisor.analysis.structure.tracking import channel_mask, channels_after, runs
from initadvisor.graph import Block, Layer, Node

MAX_STEPS = 48
_SOFT = frozenset({"softmax", "sigmoid", "log_softmax", "gumbel_softmax"})
_CHOICES = frozenset({"topk", "argmax", "one_hot", "multinomial"})
_MATRIX = frozenset({"linear", "embedding", "recurrent"})


def read_roles(
    draft: Draft,
    origins: Origins,
    additions: dict[int, Addition],
    gates: dict[int, Gate],
    attentions: list[Attention],
) -> None:
    """Fill `Layer.role` where attention has not."""
    for gate in gates.values():
        _gate_roles(draft, origins, gate)
    ahead = _weights_ahead(draft)
    for layer in draft.graph.layers:
        sites = draft.sites_of(layer)
        if layer.kind == "scale" and layer.role is None:
            layer.role = _scale_role(draft, layer, sites, additions)
        elif layer.kind == "table" and sites:
            layer.role = _table_role(draft, layer, sites[0], attentions)
        elif layer.kind == "embedding" and layer.role is None and sites:
            layer.role = _embedding_role(draft, sites[0])
        elif layer.kind == "linear" and layer.role is None and sites:
            layer.role = _linear_role(draft, layer, sites, origins, ahead)
    _feed_forward(draft, origins)
    for layer in draft.graph.layers:
        if layer.kind == "linear" and layer.role is None:
            layer.role = "hidden"


def _weights_ahead(draft: Draft) -> list[bool]:
    """For each value, whether a layer with a weight matrix lies between it and the outputs.

    Only real numbers carry a signal; indices, masks, boxes to pool from and grids to sample at do not.
    """
    wiring = draft.wiring
    ahead = [False] * len(wiring.values)
    for node in reversed(wiring.nodes):
        bears = any(s.layer.kind in _MATRIX for s in draft.at_node.get(node.id, []))
        if bears or any(ahead[o] for o in node.outputs):
            sampled = wiring.family(node) == "pool" or node.op == "grid_sample"
            for value in node.inputs[:1] if sampled else node.inputs:
                if value is not None and wiring.is_real(wiring.values[value]):
                    ahead[value] = True
    return ahead


def _linear_role(draft: Draft, layer: Layer, sites: list[Site], origins: Origins, ahead: list[bool]) -> str | None:
    outputs = [s.output for s in sites if s.output is not None]
    if outputs and not ahead[outputs[-1]] and layer.residual_role not in ("branch_end", "in_branch"):
        if layer.norm_after is None:
            return "head"
    if outputs and layer.layout is not None and not layer.layout.kernel_axes(_rank(draft, layer)):
        if _chooses(draft, layer, sites[0]):
            return "router"
    if layer.layout is not None and layer.layout.batch_axes and any("expert" in b.name for b in layer.blocks):
        return "expert"
    return "stem" if all(_is_first(draft, origins, s) for s in sites) else None


def _rank(draft: Draft, layer: Layer) -> int:
    return len(draft.graph.parameters[layer.weight].shape) if layer.weight else 0


def _is_first(draft: Draft, origins: Origins, site: Site) -> bool:
    """Whether a layer reads the model's input itself: real numbers, no layer before it."""
    if site.input is None or origins.depth(site.input) > 0 or origins.of(site.input).previous:
        return False
    return not draft.wiring.static[site.input]


def _chooses(draft: Draft, layer: Layer, site: Site) -> bool:
    """Whether scores over the layer's own channels pick what runs next (top-k or arg-max, then used)."""
    wiring = draft.wiring
    if site.output is None:
        return False
    stack, seen = [site.output], set[int]()
    shape = wiring.shape(site.output)
    channels = shape[-1] if shape else None
    while stack and len(seen) < MAX_STEPS:
        for reader, _slot in wiring.readers[stack.pop(0)]:
            node = wiring.nodes[reader]
            if reader in seen:
                continue
            seen.add(reader)
            if node.op in _CHOICES and node.inputs and node.inputs[0] is not None:
                own = wiring.shape(node.inputs[0])
                dim = node.attrs.get("dim", -1)
                last = dim in (-1, None) or (own is not None and dim == len(own) - 1)
                if own and last and own[-1] == channels and any(wiring.readers[o] for o in node.outputs):
                    return True
            elif node.op in _SOFT or wiring.transparent(node) or node.op in ADDS or node.op in ("mul", "div"):
                if reader not in draft.at_node or node.id in draft.bias_nodes:
                    stack.extend(node.outputs)
    return False


def _gate_roles(draft: Draft, origins: Origins, gate: Gate) -> None:
    """gate and mlp_in of a gated linear unit, apart or fused; the two layers of a squeeze-excite block."""
    opening, opened = gate.gate_origin.previous, gate.main_origin.previous
    if gate.broadcast:
        if gate.gate_origin.nonlinear and len(opening) == 1 and opening[0].kind == "linear":
            last = opening[0]
            before = [p for s in draft.sites_of(last) for p in origins.of(s.input).previous]
            if opened and _pooled(draft, last) and last.role is None:
                last.role = "squeeze_excite"
                for layer in before:
                    if layer.role is None and layer.kind == "linear" and _pooled(draft, layer):
                        layer.role = "squeeze_excite"
        return
    if len(opening) != 1 or len(opened) != 1 or gate.main_origin.reset or gate.gate_origin.reset:
        return
    first, second = opening[0], opened[0]
    if first.kind != "linear" or second.kind != "linear":
        return
    if first is second:
        if first.role is None and gate.gate_origin.nonlinear and _split_gate(draft, first, gate):
            first.role = "gate_up"
    elif not gate.main_origin.nonlinear:
        first.role = first.role or "gate"
        second.role = second.role or "mlp_in"


def _pooled(draft: Draft, layer: Layer) -> bool:
    """Whether a layer acts on one number a channel: its input has lost its places to a global pool."""
    for site in draft.sites_of(layer):
        shape = draft.wiring.shape(site.input) if site.input is not None else None
        if shape is None or len(shape) < 2:
            return False
        places = shape[2:] if draft.wiring.nodes[site.node].op == "conv" else shape[1:-1]
        if any(d != 1 for d in places) and len(shape) > 2:
            return False
    return True


def _split_gate(draft: Draft, layer: Layer, gate: Gate) -> bool:
    """Blocks gate and up of one projection whose halves are multiplied."""
    site = draft.sites_of(layer)[-1]
    if layer.layout is None or layer.weight is None or len(layer.layout.out_axes) != 1 or layer.fan_in is None:
        return False
    views = channels_after(draft, site)
    width = layer.layout.channels_out(draft.graph.parameters[layer.weight].shape)
    masks = {}
    for name, value in (("gate", gate.gate), ("up", gate.main)):
        view = next((views[v] for v in _backward(draft, value) if v in views), None)
        mask = channel_mask(view, width) if view is not None else None
        if mask is None or mask.all():
            return False
        masks[name] = mask
    if (masks["gate"] & masks["up"]).any():
        return False
    axis = layer.layout.out_axes[0]
    if not layer.blocks:
        layer.blocks = tuple(
            Block(name, axis, start, stop, layer.fan_in, float(mask.sum()))
            for name, mask in masks.items()
            for start, stop in runs(mask)
        )[:1024]
        layer.fan_out = float(masks["gate"].sum())
    return True


def _backward(draft: Draft, value: int) -> list[int]:
    """A value and the chain of main signals before it."""
    chain = [value]
    while len(chain) < MAX_STEPS:
        node = draft.wiring.producer(chain[-1])
        signals = draft.wiring.signals(node) if node is not None else []
        if not signals:
            break
        chain.append(signals[0])
    return chain


def _scale_role(draft: Draft, layer: Layer, sites: list[Site], additions: dict[int, Addition]) -> str | None:
    """layer_scale (a vector on a branch), skip_gain (one number on it), logit_scale (one number before a softmax or
    an output)."""
    size = draft.graph.parameters[layer.weight].size if layer.weight else 0
    if layer.residual_role == "branch_end":
        return "layer_scale" if size > 1 else "skip_gain"
    if any(s.output is not None and _reaches_scores(draft, s.output) for s in sites):
        return "logit_scale"
    return None


def _reaches_scores(draft: Draft, value: int) -> bool:
    """Whether a value flows into a softmax or an output with nothing but arithmetic between."""
    wiring = draft.wiring
    stack, seen = [value], set[int]()
    while stack and len(seen) < MAX_STEPS:
        current = stack.pop(0)
        if current in wiring.outputs:
            return True
        for reader, slot in wiring.readers[current]:
            node = wiring.nodes[reader]
            if reader in seen:
                continue
            seen.add(reader)
            if node.op in ("softmax", "log_softmax"):
                return True
            if node.op == "scaled_dot_product_attention" and slot != 2:
                return True
            if wiring.transparent(node) or node.op in ADDS or node.op in ("masked_fill", "where", "matmul", "mul", "div"):
                if reader not in draft.at_node or node.id in draft.bias_nodes:
                    stack.extend(node.outputs)
    return False


def _table_role(draft: Draft, layer: Layer, site: Site, attentions: list[Attention]) -> str | None:
    """relative_position for a table added to attention scores, else what the way of use says."""
    if layer.role in ("position", "bias") and site.output is not None and _is_scores(draft, site.output, attentions):
        return "relative_position"
    return layer.role


def _is_scores(draft: Draft, value: int, attentions: list[Attention]) -> bool:
    """Whether a value becomes the argument of an attention's softmax."""
    inner = {n for a in attentions for n in a.nodes}
    stack, seen = [value], set[int]()
    while stack and len(seen) < MAX_STEPS:
        for reader, slot in draft.wiring.readers[stack.pop(0)]:
            node = draft.wiring.nodes[reader]
            if reader in seen:
                continue
            seen.add(reader)
            if reader in inner:
                return node.op == "softmax" or (len(node.inputs) > 3 and slot == 3)
            if draft.wiring.transparent(node) or node.op in ADDS or node.op in ("masked_fill", "where", "mul"):
                if reader not in draft.at_node or draft.at_node[reader][0].layer.kind != "linear":
                    stack.extend(node.outputs)
    return False


def _embedding_role(draft: Draft, site: Site) -> str:
    """position where the indices are known without the input, relative_position where it ends in scores, else token."""
    wiring = draft.wiring
    node = wiring.nodes[site.node]
    index = wiring.slot(node, "indices")
    if index is None:
        index = wiring.slot(node, "index")
    if index is None:
        index = next((v for v in node.inputs[1:] if v is not None), None)
    if site.output is not None and _biases_scores(draft, site.output):
        return "relative_position"
    if index is not None and (wiring.static[index] or _counts(draft, index)):
        return "position"
    return "token"


def _biases_scores(draft: Draft, value: int) -> bool:
    wiring = draft.wiring
    stack, seen = [value], set[int]()
    while stack and len(seen) < MAX_STEPS:
        for reader, slot in wiring.readers[stack.pop(0)]:
            node = wiring.nodes[reader]
            if reader in seen or reader in draft.norm_at or reader in draft.at_node:
                continue
            seen.add(reader)
            if node.op == "softmax" or (node.op == "scaled_dot_product_attention" and slot == 3):
                return True
            if wiring.transparent(node) or node.op in ADDS or node.op in ("masked_fill", "where"):
                stack.extend(node.outputs)
    return False


def _counts(draft: Draft, value: int) -> bool:
    """Whether indices come from counting places (a range, a running sum of a mask) rather than from tokens."""
    wiring = draft.wiring
    for _ in range(12):
        node = wiring.producer(value)
        if node is None:
            return False
        if node.op in ("arange", "cumsum", "shape_of"):
            return True
        after = [v for v in node.inputs if v is not None and wiring.values[v].kind != "constant"]
        if not after:
            return False
        value = after[0]
    return False


def _feed_forward(draft: Draft, origins: Origins) -> None:
    """mlp_in and mlp_out: two pointwise layers with an activation between that make up a residual branch."""
    for layer in draft.graph.layers:
        if layer.kind != "linear" or layer.role is not None or layer.residual_role != "branch_end":
            continue
        if layer.receptive_field != 1 or layer.groups != 1:
            continue
        for site in draft.sites_of(layer):
            origin = origins.of(site.input)
            before = origin.previous
            if not before or not origin.nonlinear or origin.reset:
                continue
            if all(b.kind == "linear" and b.receptive_field == 1 and b.groups == 1 for b in before):
                inside = all(b.attrs.get("residual_block") == layer.attrs.get("residual_block") for b in before)
                if inside and all(b.role in (None, "gate", "gate_up", "mlp_in") for b in before):
                    layer.role = "mlp_out"
                    for b in before:
                        b.role = b.role or "mlp_in"


def is_output_node(draft: Draft, node: Node) -> bool:
    """Whether a node makes an output of the model."""
    return any(o in draft.wiring.outputs for o in node.outputs)
