"""Gated linear units, apart or fused in one projection, and squeeze-excite blocks."""

from __future__ import annotations

from initadvisor.analysis.structure.axes import View, narrow
from initadvisor.analysis.structure.draft import Draft
from initadvisor.analysis.structure.gates import Gate
from initadvisor.analysis.structure.origins import Origins
from initadvisor.analysis.structure.tracking import channel_mask, channels_after, runs
from initadvisor.graph import Block, Layer, Node

MAX_STEPS = 48
"""Values looked at on the way back to a projection."""

MAX_BLOCKS = 1024


def gate_roles(draft: Draft, origins: Origins, gates: dict[int, Gate]) -> None:
    """Set the roles gate, mlp_in, gate_up and squeeze_excite, and the blocks of fused gates."""
    for gate in gates.values():
        if gate.broadcast:
            _squeeze_excite(draft, origins, gate)
        else:
            _gated_unit(draft, gate)
    for node in draft.wiring.nodes:
        if node.op == "glu" and node.inputs and node.inputs[0] is not None:
            _glu_role(draft, origins, node, node.inputs[0])


def _squeeze_excite(draft: Draft, origins: Origins, gate: Gate) -> None:
    """The two layers that turn pooled channels into one factor for each channel."""
    opening = gate.gate_origin.previous
    if not gate.gate_origin.nonlinear or len(opening) != 1 or not gate.main_origin.previous:
        return
    last = opening[0]
    if last.kind != "linear" or last.role is not None:
        return
    if _is_share(draft, gate.gate):
        last.role = "router"  # softmax shares weigh the results of parallel layers: a soft mixture of experts
        return
    if not _pooled(draft, last) or not _fits_channels(draft, last, gate.main):
        return
    last.role = "squeeze_excite"
    for layer in (p for s in draft.sites_of(last) for p in origins.of(s.input).previous):
        if layer.role is None and layer.kind == "linear" and _pooled(draft, layer):
            layer.role = "squeeze_excite"


def _fits_channels(draft: Draft, layer: Layer, value: int) -> bool:
    """Whether a layer makes one number for each channel of a value."""
    shape = draft.wiring.shape(value)
    if layer.layout is None or layer.weight is None or shape is None:
        return False
    return layer.layout.channels_out(draft.graph.parameters[layer.weight].shape) in shape[1:]


def _is_share(draft: Draft, value: int) -> bool:
    """Whether a value is a softmax, behind slices and reshapes."""
    chain = _backward(draft, value)
    makers = [draft.wiring.producer(v) for v in chain]
    for node in makers:
        if node is None or not (draft.wiring.transparent(node) or node.op == "softmax"):
            return False
        if node.op == "softmax":
            return True
    return False


def _gated_unit(draft: Draft, gate: Gate) -> None:
    """One layer's activated output times another layer's, or the two halves of one layer's."""
    opening, opened = gate.gate_origin.previous, gate.main_origin.previous
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
    views = channels_after(draft, draft.sites_of(layer)[-1])
    parts = {}
    for name, value in (("gate", gate.gate), ("up", gate.main)):
        parts[name] = next((views[v] for v in _backward(draft, value) if v in views), None)
    return _set_halves(draft, layer, parts)


def _glu_role(draft: Draft, origins: Origins, node: Node, value: int) -> None:
    """A gated linear unit as one operator: the second half of its input gates the first."""
    before = origins.of(value).previous
    shape = draft.wiring.shape(value)
    if len(before) != 1 or before[0].kind != "linear" or before[0].role is not None or not shape:
        return
    layer, dim = before[0], node.attrs.get("dim", -1)
    dim = -1 if dim is None else dim
    views = channels_after(draft, draft.sites_of(layer)[-1])
    view = next((views[v] for v in _backward(draft, value) if v in views), None)
    size = shape[dim] if isinstance(dim, int) and -len(shape) <= dim < len(shape) else None
    if view is None or size is None or len(view.axes) != len(shape):
        return
    parts = {"up": narrow(view, dim, 0, size // 2), "gate": narrow(view, dim, size // 2, size)}
    if _set_halves(draft, layer, parts):
        layer.role = "gate_up"


def _set_halves(draft: Draft, layer: Layer, parts: dict[str, View | None]) -> bool:
    """List two disjoint parts of a layer's output channels as blocks; False where they cannot be told."""
    if layer.layout is None or layer.weight is None or len(layer.layout.out_axes) != 1 or layer.fan_in is None:
        return False
    width = layer.layout.channels_out(draft.graph.parameters[layer.weight].shape)
    masks = {}
    for name, view in parts.items():
        mask = channel_mask(view, width) if view is not None else None
        if mask is None or mask.all():
            return False
        masks[name] = mask
    if (masks["gate"] & masks["up"]).any():
        return False
    if not layer.blocks:
        blocks = [
            Block(name, layer.layout.out_axes[0], start, stop, layer.fan_in, float(mask.sum()))
            for name, mask in masks.items()
            for start, stop in runs(mask)
        ]
        layer.blocks = tuple(sorted(blocks, key=lambda b: b.start)[:MAX_BLOCKS])
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
