"""LSTM, GRU and RNN of ONNX as torch's: one weight a direction, gates in torch's order, torch's names.

ONNX packs both directions and both biases into one tensor each, with gates in another order; an exporter may write
the reordering as Slice and Concat nodes. Both are undone here, so that the layers of a module look the same in a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.frontends.onnx_model.pieces import rows
from initadvisor.frontends.onnx_model.tensors import Tensor
from initadvisor.ops import OPERATORS

if TYPE_CHECKING:
    from onnx import NodeProto

    from initadvisor.frontends.onnx_model.builder import Builder
    from initadvisor.frontends.onnx_model.names import Binding, Names

_TORCH_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""For each gate as torch stacks them, its place in ONNX's stack (LSTM i, o, f, c; GRU z, r, h)."""


def translate(
    builder: Builder, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names
) -> bool:
    """Read a recurrent node in torch's form; False where it has peepholes or its weights are not stored tensors."""
    kind = proto.op_type
    given = [*inputs, *[None] * (8 - len(inputs))]
    signal, weight_ih, weight_hh, bias, _, hidden, cell, peephole = given[:8]
    if peephole is not None or not isinstance(weight_ih, Tensor) or not isinstance(weight_hh, Tensor):
        return False
    if not (bias is None or isinstance(bias, Tensor)):
        return False
    order = _TORCH_ORDER[kind]
    directions = 2 if attrs.get("direction") == "bidirectional" else 1
    width = weight_hh.shape[-1] if weight_hh.shape else 0
    stack = len(order) * width
    if weight_ih.shape[:2] != (directions, stack) or weight_hh.shape != (directions, stack, width):
        return False
    if bias is not None and bias.shape != (directions, 2 * stack):
        return False
    op = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh"}[kind]
    if kind == "RNN" and attrs.get("activations"):
        op = {("Tanh",): "rnn_tanh", ("Relu",): "rnn_relu"}.get(tuple(sorted(set(attrs["activations"]))), "")
    if not op:
        return False
    parts: list[tuple[str, Binding | None]] = []
    for direction in range(directions):
        for whole, first in ((weight_ih, 0), (weight_hh, 0), (bias, 0), (bias, len(order))):
            if whole is not None:
                places = [direction * len(order) * (2 if whole is bias else 1) + first + gate for gate in order]
                parts.append(("weights...", rows(whole, width, places)))
    states = [("hidden", hidden), ("cell", cell)] if kind == "LSTM" else [("hidden", hidden)]
    canonical = {
        "has_biases": bias is not None,
        "num_layers": 1,
        "dropout": 0.0,
        "train": False,
        "bidirectional": directions == 2,
        "batch_first": bool(attrs.get("layout", 0)),
        "hidden_size": width,
    }
    if attrs.get("direction") == "reverse":
        canonical["reverse"] = True
    builder.emit(proto, op, kind, [("input", signal), *states, *parts], canonical, names, OPERATORS[op])
    return True
