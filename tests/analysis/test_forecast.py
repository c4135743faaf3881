"""The prediction as the check makes it: from measured tensors, in training mode, never in the way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from initadvisor.analysis import forecast, structure
from initadvisor.analysis.forecast import foresee
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends import load
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Graph, Parameter


def _graph(model: nn.Module, *shape: int) -> Graph:
    return structure.describe(load(model, LoadOptions(input_shapes=(shape,))))


def _stack(depth: int, gain: float, width: int = 64) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layer = nn.Linear(width, width, bias=False)
        signs = torch.ones(width * width)
        signs[: width * width // 2] = -1.0  # mean 0 and rms are exact, with no error of sampling
        with torch.no_grad():
            layer.weight.copy_(signs[torch.randperm(width * width)].view(width, width) * gain / math.sqrt(width))
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10, bias=False))


def test_a_relu_stack_keeps_half_of_gain_squared_per_layer() -> None:
    # q after layer l is gain^2 (gain^2 / 2)^(l - 1) for standard normal inputs (He et al. 2015).
    graph = _graph(_stack(6, 1.0), 4, 64)
    found = foresee(graph, tensor_facts(graph))
    rms = [layer.output for layer in found.layers[:6]]
    expected = [2 ** (-0.5 * place) for place in range(6)]
    np.testing.assert_allclose(rms, expected, rtol=1e-3)


def test_a_zero_head_counts_as_drawn_and_is_named() -> None:
    model = _stack(3, math.sqrt(2.0))
    nn.init.zeros_(model[-1].weight)
    graph = _graph(model, 4, 64)
    found = foresee(graph, tensor_facts(graph))
    assert found.assumed == ("6",)
    assert found.layers[0].gradient == pytest.approx(found.layers[2].gradient or 0.0, rel=0.1)
    assert (found.layers[0].gradient or 0.0) > 0.1


def test_batch_norms_use_the_batch_in_whatever_mode_the_model_was_recorded() -> None:
    model = nn.Sequential(nn.Linear(32, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)).eval()
    with torch.no_grad():
        model[0].weight.mul_(100.0)
    graph = _graph(model, 16, 32)
    found = foresee(graph, tensor_facts(graph))
    assert found.layers[1].output == pytest.approx(1.0, rel=0.01)


def test_tensors_without_a_graph_or_without_numbers_have_a_reason() -> None:
    bare = Graph("weights.pt", "checkpoint", parameters={"w": Parameter("w", (2, 2), "float32", None)}, edges=False)
    assert "checkpoint" in foresee(bare, {}).reason
    graph = _graph(_stack(2, 1.0), 4, 64)
    assert "no weight" in foresee(graph, {}).reason


def test_whatever_a_prediction_trips_over_becomes_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RecursionError("too deep")

    graph = _graph(_stack(2, 1.0), 4, 64)
    facts = tensor_facts(graph)
    monkeypatch.setattr(forecast, "predict", broken)
    found = foresee(graph, facts)
    assert found.prediction is None
    assert found.reason == "the signal could not be predicted: RecursionError: too deep"


def test_a_weight_that_is_not_finite_is_unknown() -> None:
    model = _stack(2, 1.0)
    with torch.no_grad():
        model[0].weight[0, 0] = math.nan
    graph = _graph(model, 4, 64)
    found = foresee(graph, tensor_facts(graph))
    assert found.layers[0].output is None
    assert found.layers[1].output is None
