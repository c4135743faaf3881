"""Layers of RNN, LSTM and GRU: input and hidden weights of each layer and direction, with their gates as blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.naming import layer_name, other_names
from initadvisor.graph import Activation, Block, Layer, Layout, Node
from initadvisor.ops.recurrent import GATES

_PLAIN = {"rnn_tanh": "tanh", "rnn_relu": "relu", "rnn_tanh_cell": "tanh", "rnn_relu_cell": "relu", "onnx_rnn": "tanh"}


@dataclass(frozen=True, slots=True)
class Cell:
    """The parameter names of one layer and direction; None for what is absent."""

    weight_ih: str | None
    weight_hh: str | None
    bias_ih: str | None = None
    bias_hh: str | None = None
    projection: str | None = None


def read_recurrent(draft: Draft) -> None:
    """Enter two layers (input and hidden weights) for each layer and direction of every recurrent node."""
    seen: dict[str, int] = {}
    for node in draft.wiring.nodes:
        if draft.wiring.family(node) != "recurrent":
            continue
        cells = list(_cells(draft, node))
        for place, cell in enumerate(cells):
            order = seen.get(node.scope, 0)
            seen[node.scope] = order + 1
            _enter(draft, node, cell, order, place, len(cells))


def _cells(draft: Draft, node: Node) -> Iterator[Cell]:
    wiring = draft.wiring

    def name(slot: str) -> str | None:
        term = draft.paths.weight(wiring.slot(node, slot))
        return None if term is None else term.parameter

    if "weights..." not in (wiring.operators[node.id].slots if wiring.operators[node.id] else ()):  # type: ignore[union-attr]
        yield Cell(name("weight_ih"), name("weight_hh"), name("bias_ih") or name("bias"), name("bias_hh"))
        return
    flat = [draft.paths.weight(v) for slot, v in wiring.slots(node) if slot == "weights..."]
    names = [term.parameter for term in flat if term is not None]
    rank = {n: len(draft.graph.parameters[n].shape) for n in names}
    i = 0
    while i + 1 < len(names):
        weights, biases = names[i : i + 2], list[str]()
        i += 2
        while i < len(names) and rank[names[i]] == 1 and len(biases) < 2:
            biases.append(names[i])
            i += 1
        projection = None
        rows, cols = (*draft.graph.parameters[weights[1]].shape, 0, 0)[:2]
        projected = rows != cols * len(GATES.get(node.op, ("hidden",)))
        if projected and i < len(names) and rank[names[i]] == 2:
            projection = names[i]
            i += 1
        both = [*biases, None, None]
        yield Cell(weights[0], weights[1], both[0], both[1], projection)


def _enter(draft: Draft, node: Node, cell: Cell, order: int, place: int, cells: int) -> None:
    declared = node.attrs.get("num_layers")
    layers = declared if isinstance(declared, int) and declared > 0 else 1
    directions = max(1, cells // layers)
    first, last = place < directions, place >= cells - directions
    signal = node.inputs[0] if node.inputs else None
    parts = (
        ("weight_ih", cell.weight_ih, cell.bias_ih, "recurrent_input"),
        ("weight_hh", cell.weight_hh, cell.bias_hh, "recurrent_hidden"),
        ("weight_hr", cell.projection, None, "recurrent_projection"),
    )
    for kind, weight, bias, role in parts:
        if weight is None or draft.graph.parameters[weight].buffer:
            continue
        key = (weight,)
        layer = draft.keyed.get(key)
        if layer is None:
            layer = _new_layer(draft, node, weight, bias, role, f"{kind}_l{order}")
            layer.attrs["recurrent_level"] = place // directions
            draft.keyed[key] = layer
        output = node.outputs[0] if last and role == "recurrent_hidden" and node.outputs else None
        draft.add(layer, Site(layer, node.id, signal if first and role == "recurrent_input" else None, output))


def _new_layer(draft: Draft, node: Node, weight: str, bias: str | None, role: str, fallback: str) -> Layer:
    parameter = draft.graph.parameters[weight]
    shape = parameter.shape
    layout = Layout((0,), (1,)) if len(shape) == 2 else Layout((1,), (2,), (0,)) if len(shape) == 3 else None
    gates = GATES.get(node.op, ("hidden",)) if role != "recurrent_projection" else ("projection",)
    blocks: tuple[Block, ...] = ()
    fan_in = fan_out = None
    if layout is not None:
        axis = layout.out_axes[0]
        width, rest = divmod(shape[axis], len(gates))
        fan_in, fan_out = float(shape[layout.in_axes[0]]), float(width)
        if rest == 0 and len(gates) > 1:
            blocks = tuple(
                Block(gate, axis, i * width, (i + 1) * width, fan_in, fan_out) for i, gate in enumerate(gates)
            )
    name = layer_name(parameter, node.scope)
    name = f"{name}.{fallback}" if name == node.scope else name
    layer = Layer(
        name=name,
        op=node.op,
        kind="recurrent",
        weight=weight,
        bias=bias if bias is not None and not draft.graph.parameters[bias].buffer else None,
        node=node.id,
        layout=layout,
        blocks=blocks,
        fan_in=fan_in,
        fan_out=fan_out,
        role=role,
        scope=node.scope,
        tied_to=other_names(parameter, name),
    )
    plain = _PLAIN.get(node.op)
    if node.op == "onnx_rnn" and "Relu" in str(node.attrs.get("activations", "")):
        plain = "relu"
    if plain is not None and role != "recurrent_projection":
        layer.activation = Activation(plain)
    return layer
