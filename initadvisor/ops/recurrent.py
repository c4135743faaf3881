"""Recurrent layers and cells.

Torch hands the weights of all layers and directions as one flat list: weight_ih, weight_hh (bias_ih, bias_hh) for
each layer and direction in turn, gates stacked along axis 0 (LSTM i, f, g, o; GRU r, z, n). ONNX stores one layer
as (directions, gates x hidden, in) with gates i, o, f, c and z, r, h.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initadvisor.graph import Layout
from initadvisor.ops.registry import register
from initadvisor.ops.weighted import linear_layout

GATES: dict[str, tuple[str, ...]] = {
    "lstm": ("input", "forget", "cell", "output"),
    "lstm_cell": ("input", "forget", "cell", "output"),
    "onnx_lstm": ("input", "output", "forget", "cell"),
    "gru": ("reset", "update", "new"),
    "gru_cell": ("reset", "update", "new"),
    "onnx_gru": ("update", "reset", "new"),
    "rnn_tanh": ("hidden",),
    "rnn_relu": ("hidden",),
    "rnn_tanh_cell": ("hidden",),
    "rnn_relu_cell": ("hidden",),
    "onnx_rnn": ("hidden",),
}
"""The order in which each operator stacks its gates."""


def directions_layout(shape: tuple[int, ...], attrs: Mapping[str, Any]) -> Layout:
    """(directions, gates x hidden, in), as ONNX stores recurrent weights."""
    return Layout(out_axes=(1,), in_axes=(2,), batch_axes=(0,))


_REST = "has_biases num_layers dropout train bidirectional batch_first"
_PACKED = "has_biases num_layers dropout train bidirectional"

register(
    "lstm",
    "recurrent",
    "input hidden cell weights...",
    layouts={"weights...": linear_layout},
    torch={
        "torch.lstm": f"input hidden+cell weights... {_REST}",
        "torch.lstm:packed": f"input batch_sizes hidden+cell weights... {_PACKED}",
    },
)
for _name in ("gru", "rnn_tanh", "rnn_relu"):
    register(
        _name,
        "recurrent",
        "input hidden weights...",
        layouts={"weights...": linear_layout},
        torch={
            f"torch.{_name}": f"input hidden weights... {_REST}",
            f"torch.{_name}:packed": f"input batch_sizes hidden weights... {_PACKED}",
        },
    )
_CELL = {"weight_ih": linear_layout, "weight_hh": linear_layout}
register(
    "lstm_cell",
    "recurrent",
    "input hidden cell weight_ih weight_hh bias_ih bias_hh",
    layouts=_CELL,
    torch={"torch.lstm_cell": "input hidden+cell weight_ih weight_hh bias_ih bias_hh"},
)
for _name in ("gru_cell", "rnn_tanh_cell", "rnn_relu_cell"):
    register(
        _name,
        "recurrent",
        "input hidden weight_ih weight_hh bias_ih bias_hh",
        layouts=_CELL,
        torch=f"torch.{_name}",
    )
_DIRECTIONS = {"weight_ih": directions_layout, "weight_hh": directions_layout}
register(
    "onnx_lstm",
    "recurrent",
    "input weight_ih weight_hh bias lengths hidden cell peephole",
    layouts=_DIRECTIONS,
    onnx="LSTM",
)
register("onnx_gru", "recurrent", "input weight_ih weight_hh bias lengths hidden", layouts=_DIRECTIONS, onnx="GRU")
register("onnx_rnn", "recurrent", "input weight_ih weight_hh bias lengths hidden", layouts=_DIRECTIONS, onnx="RNN")
