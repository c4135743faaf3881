"""LSTM, GRU and RNN nodes in torch's form, gates in torch's order."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Models
from onnx import helper

from initadvisor.graph import Graph, Parameter

N = helper.make_node
GATES = {"LSTM": "iofc", "GRU": "zrh", "RNN": "h"}
TORCH = {"LSTM": "ifco", "GRU": "rzh", "RNN": "h"}
HIDDEN, WIDTH = 3, 2


def _elements(parameter: Parameter) -> np.ndarray:
    assert parameter.source is not None
    return np.concatenate([chunk.copy() for chunk in parameter.source.chunks(4)]).reshape(parameter.shape)


def _weights(kind: str, directions: int) -> dict[str, np.ndarray]:
    """Every element tells direction, gate, row and column: 1000 d + 100 g + 10 r + c, biases 5 in front."""
    gates = np.arange(len(GATES[kind])) * 100
    rows = (gates[:, None] + np.arange(HIDDEN) * 10).reshape(-1)
    sides = np.arange(directions) * 1000
    matrix = sides[:, None, None] + rows[:, None]
    bias = sides[:, None] + np.concatenate([rows, rows + 50_000])
    return {
        "w": (matrix + np.arange(WIDTH)).astype(np.float32),
        "r": (matrix + np.arange(HIDDEN) + 0.5).astype(np.float32),
        "b": bias.astype(np.float32),
    }


def _load(models: Models, kind: str, directions: int, inputs: list[str] | None = None, **attrs: object) -> Graph:
    direction = "bidirectional" if directions == 2 else "forward"
    node = N(kind, inputs or ["x", "w", "r", "b"], ["y"], hidden_size=HIDDEN, **{"direction": direction, **attrs})
    return models.load([node], _weights(kind, directions), inputs={"x": (5, 1, WIDTH)})


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("kind", GATES)
def test_gates_are_in_torchs_order(models: Models, kind: str, directions: int) -> None:
    graph = _load(models, kind, directions)
    (node,) = graph.nodes
    assert node.op == {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh"}[kind]
    assert node.attrs["bidirectional"] is (directions == 2)
    first = 3 if kind == "LSTM" else 2
    read = [_elements(graph.parameters[str(graph.values[v].parameter)]) for v in node.inputs[first:]]
    assert len(read) == 4 * directions
    order = [GATES[kind].index(gate) for gate in TORCH[kind]]
    rows = np.concatenate([100 * gate + 10 * np.arange(HIDDEN) for gate in order])
    for side in range(directions):
        weight_ih, weight_hh, bias_ih, bias_hh = read[4 * side : 4 * side + 4]
        np.testing.assert_array_equal(weight_ih[:, 0], 1000 * side + rows)
        np.testing.assert_array_equal(weight_hh[:, 0], 1000 * side + rows + 0.5)
        np.testing.assert_array_equal(bias_ih, 1000 * side + rows)
        np.testing.assert_array_equal(bias_hh, 1000 * side + rows + 50_000)


def test_without_biases(models: Models) -> None:
    graph = _load(models, "LSTM", 1, ["x", "w", "r"])
    assert graph.nodes[0].attrs["has_biases"] is False
    assert len(graph.parameters) == 2


def test_relu_cells(models: Models) -> None:
    assert _load(models, "RNN", 1, activations=["Relu"]).nodes[0].op == "rnn_relu"


def test_peepholes_keep_the_packed_form(models: Models) -> None:
    weights = _weights("LSTM", 1) | {"p": np.ones((1, 3 * HIDDEN), np.float32)}
    node = N("LSTM", ["x", "w", "r", "b", "", "", "", "p"], ["y"], hidden_size=HIDDEN)
    graph = models.load([node], weights, inputs={"x": (5, 1, WIDTH)})
    assert graph.nodes[0].op == "onnx_lstm"
    assert graph.parameters["w"].shape == (1, 4 * HIDDEN, WIDTH)


def test_reordering_by_nodes_is_undone(models: Models) -> None:
    """An exporter writes torch's weight with Slice and Concat nodes in front: the parameter is torch's again."""
    torch_order = np.arange(4 * HIDDEN * HIDDEN, dtype=np.float32).reshape(4 * HIDDEN, HIDDEN)
    nodes, parts = [], []
    weights: dict[str, np.ndarray] = {"hh": torch_order, "zero": np.array([0]), **_weights("LSTM", 1)}
    del weights["r"]
    for place, gate in enumerate("ifco"):
        weights[f"start{gate}"], weights[f"end{gate}"] = np.array([place * HIDDEN]), np.array([(place + 1) * HIDDEN])
        nodes.append(N("Slice", ["hh", f"start{gate}", f"end{gate}", "zero"], [f"part{gate}"]))
    parts = [f"part{gate}" for gate in "iofc"]
    nodes += [
        N("Concat", parts, ["joined"], axis=0),
        N("Unsqueeze", ["joined", "zero"], ["r"]),
        N("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=HIDDEN),
    ]
    graph = models.load(nodes, weights, inputs={"x": (5, 1, WIDTH)})
    assert [node.op for node in graph.nodes] == ["lstm"]
    parameter = graph.parameters["hh"]
    np.testing.assert_array_equal(_elements(parameter), torch_order)
    assert parameter.source is not None
    assert parameter.source.raw() is not None


def test_weights_that_flow_keep_the_packed_form(models: Models) -> None:
    weights = _weights("GRU", 1)
    shape = weights.pop("w").shape
    graph = models.load(
        [N("GRU", ["x", "w", "r", "b"], ["y"], hidden_size=HIDDEN)], weights, inputs={"x": (5, 1, WIDTH), "w": shape}
    )
    assert graph.nodes[0].op == "onnx_gru"
