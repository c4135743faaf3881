"""Changed graphs: what is exchanged, what is left, and that the original is."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from initadvisor import frontends
from initadvisor.analysis import structure
from initadvisor.analysis.changes import activations, with_activation, with_norms
from initadvisor.analysis.forecast import foresee_with
from initadvisor.analysis.signal import WeightStatistics
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Graph


def _graph(model: nn.Module, *shape: int) -> Graph:
    return structure.describe(frontends.load(model, LoadOptions(input_shapes=(shape,))))


def _stack(act: type[nn.Module], depth: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*[m for _ in range(depth) for m in (nn.Linear(32, 32), act())], nn.Linear(32, 4))


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.end = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.end(torch.tanh(self.a(x)) + torch.sigmoid(self.b(x)) * x))


def test_the_distance_of_a_siamese_network_is_no_activation() -> None:
    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.end = nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.end(torch.abs(self.body(x) - self.body(-x)))

    assert [place.name for place in activations(_graph(Siamese(), 4, 8))] == ["relu", "relu"]


def test_gates_and_the_output_are_no_places() -> None:
    assert [place.name for place in activations(_graph(Gated(), 4, 8))] == ["tanh"]
    assert [place.name for place in activations(_graph(_stack(nn.Tanh), 4, 32))] == ["tanh"] * 4


@pytest.mark.parametrize(("was", "kind"), [("relu", nn.ReLU), ("gelu", nn.GELU), ("silu", nn.SiLU), ("tanh", nn.Tanh)])
def test_an_exchanged_activation_predicts_what_the_real_module_does(was: str, kind: type[nn.Module]) -> None:
    start, aim = _graph(_stack(nn.Sigmoid), 4, 32), _graph(_stack(kind), 4, 32)
    changed = with_activation(start, activations(start), was)
    weights = {name: WeightStatistics(0.0, 0.04) for name in start.parameters}
    told = [foresee_with(graph, weights).layers for graph in (changed, aim)]
    assert [row.figures() for row in told[0]] == [row.figures() for row in told[1]]
    assert [layer.activation.name for layer in changed.layers if layer.activation][:4] == [was] * 4


def _normed(norm: type[nn.Module], depth: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    parts = (m for _ in range(depth) for m in (nn.Linear(32, 32), norm(32), nn.ReLU()))
    return nn.Sequential(*parts, nn.Linear(32, 4))


@pytest.mark.parametrize(("batch", "norm"), [(True, nn.BatchNorm1d), (False, nn.LayerNorm)])
def test_norms_put_in_predict_what_the_real_ones_do(batch: bool, norm: type[nn.Module]) -> None:
    plain, aim = _graph(_stack(nn.ReLU), 16, 32), _graph(_normed(norm), 16, 32)
    before = copy.deepcopy([(node.id, node.op, node.inputs, node.outputs) for node in plain.nodes])
    changed = with_norms(plain, activations(plain), batch=batch)
    assert [(node.id, node.op, node.inputs, node.outputs) for node in plain.nodes] == before
    assert [value.id for value in changed.values] == list(range(len(changed.values)))
    assert [node.id for node in changed.nodes] == list(range(len(changed.nodes)))
    for node in changed.nodes:
        assert all(changed.values[output].producer == node.id for output in node.outputs)
    rows = []
    for graph in (changed, aim):
        weights = {
            p.name: WeightStatistics(0.0, 0.04) if len(p.shape) > 1 else WeightStatistics(0.0, 0.0)
            for p in graph.parameters.values()
        }
        weights |= {
            layer.weight: WeightStatistics(1.0, 1.0) for layer in graph.layers if layer.kind == "norm" and layer.weight
        }
        told = foresee_with(graph, weights).layers
        rows.append([row.output for row in told if row.name in {x.name for x in graph.layers if x.kind == "linear"}])
    assert rows[0] == pytest.approx(rows[1], rel=1e-6)


def test_maps_get_norms_of_their_own_kind() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 16), nn.ReLU(), nn.Linear(16, 2))
    graph = _graph(net, 4, 3, 8, 8)
    for batch, expected in ((True, ["batch_norm"] * 2), (False, ["group_norm", "layer_norm"])):
        changed = with_norms(graph, activations(graph), batch=batch)
        assert [layer.op for layer in changed.layers if layer.kind == "norm"] == expected
