"""The prediction by layer, and the conditions that it is made under."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from initadvisor.analysis.signal import Conditions, WeightStatistics, planned, predict, propagate, read_weights
from initadvisor.analysis.structure import describe
from tests.analysis.signal.running import Predicted, recorded


def net(depth: int = 4, width: int = 128) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def test_layers_come_in_the_order_of_the_forward_pass_and_by_name() -> None:
    graph = describe(recorded(net(), torch.randn(16, 128)))
    prediction = predict(graph, read_weights(graph))
    assert [layer.name for layer in prediction.layers] == ["0", "2", "4", "6", "8"]
    assert prediction["4"] is prediction.layers[2]
    assert prediction.unknown == {}
    with pytest.raises(KeyError):
        prediction["features.0"]


def test_a_layer_tells_what_enters_leaves_and_comes_back() -> None:
    graph = describe(recorded(net(), torch.randn(16, 128)))
    std = math.sqrt(2 / 128)
    stds = {f"{i}.{part}": std * (part == "weight") for i in range(0, 9, 2) for part in ("weight", "bias")}
    plan = planned(read_weights(graph), stds)
    layer = predict(graph, plan)["2"]
    assert layer.depth == 2
    assert layer.input == pytest.approx(1.0, rel=1e-6)  # relu of variance 2
    assert layer.output == pytest.approx(math.sqrt(2.0), rel=1e-6)
    assert layer.cosine == pytest.approx(1 / math.pi, rel=1e-3)  # independent inputs behind one ReLU
    assert layer.difference == pytest.approx(math.sqrt(2.0 * (1 - 1 / math.pi)), rel=1e-3)
    # ten outputs, then three layers that keep it, each halved by a mask and doubled by its weights
    assert layer.gradient == pytest.approx(math.sqrt(10 * std**2 / 2), rel=1e-6)
    assert layer.weight_gradient is not None


def test_a_plan_changes_what_it_draws_and_nothing_else() -> None:
    known = {"a": WeightStatistics(0.5, 1.0), "b": WeightStatistics(0.0, 2.0)}
    assert planned(known, {"a": 0.1}) == {"a": WeightStatistics(0.0, pytest.approx(0.01)), "b": known["b"]}


@pytest.mark.parametrize(("mean", "q"), [(0.0, 4.0), (0.5, 0.3333333)])
def test_inputs_need_not_be_standardised(mean: float, q: float) -> None:
    torch.manual_seed(0)
    module = nn.Linear(256, 8192, bias=False)
    graph = recorded(module, torch.randn(64, 256))
    run = propagate(graph, read_weights(graph), Conditions(input_mean=mean, input_q=q))
    x = mean + math.sqrt(q - mean * mean) * torch.randn(512, 256)
    assert Predicted(graph, run).output == pytest.approx(float(module(x).detach().square().mean()), rel=0.03)


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_a_cross_entropy_starts_with_the_gradient_that_it_has(classes: int) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, classes))
    x = torch.randn(64, 128)
    graph = recorded(module, x)
    run = propagate(graph, read_weights(graph), Conditions(gradient="cross_entropy"))
    squares = []
    for _ in range(40):
        module.zero_grad()
        F.cross_entropy(module(torch.randn(64, 128)), torch.randint(0, classes, (64,))).backward()
        gradient = module[0].weight.grad
        assert gradient is not None
        squares.append(float(gradient.square().mean()))
    assert Predicted(graph, run).gradient("0.weight") == pytest.approx(sum(squares) / len(squares), rel=0.25)


def test_attention_tells_how_far_its_logits_spread() -> None:
    module = nn.MultiheadAttention(128, 4, batch_first=True)

    class Itself(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.attention(x, x, x, need_weights=False)[0]

    graph = describe(recorded(Itself(), torch.randn(4, 16, 128)))
    run = propagate(graph, read_weights(graph))
    (variance,) = run.attention.values()
    # the fused draw has variance 2 / (fan_in + 3 fan_in): queries and keys of second moment 1/2 each
    assert variance == pytest.approx(0.25, rel=0.05)
