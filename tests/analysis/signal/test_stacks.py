"""Predicted against measured in float64: plain stacks of every activation, forward and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from initadvisor.analysis.signal import WeightStatistics, planned, propagate, read_weights
from initadvisor.ops.gains import gains
from tests.analysis.signal.running import Predicted, measure, predict, recorded

ACTIVATIONS: dict[str, nn.Module] = {
    "relu": nn.ReLU(),
    "leaky_relu": nn.LeakyReLU(0.2),
    "elu": nn.ELU(),
    "selu": nn.SELU(),
    "celu": nn.CELU(0.7),
    "gelu": nn.GELU(),
    "silu": nn.SiLU(),
    "mish": nn.Mish(),
    "hardswish": nn.Hardswish(),
    "softplus": nn.Softplus(),
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
    "softsign": nn.Softsign(),
    "hardtanh": nn.Hardtanh(),
    "relu6": nn.ReLU6(),
    "prelu": nn.PReLU(),
}
WIDTH, DEPTH = 256, 8


def stack(activation: nn.Module, gain: float, *, bias: float = 0.0) -> nn.Module:
    """Linear layers of one width with normal weights of the given gain."""
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        layer = nn.Linear(WIDTH, WIDTH)
        nn.init.normal_(layer.weight, std=gain / math.sqrt(WIDTH))
        nn.init.normal_(layer.bias, std=bias) if bias else nn.init.zeros_(layer.bias)
        layers += [layer, activation]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_second_moments_forward_and_weight_gradients_back(name: str, scale: float) -> None:
    gain = scale * gains(name if name != "leaky_relu" else nn_leaky).forward

    def make() -> nn.Module:
        return stack(ACTIVATIONS[name], gain, bias=0.1)

    real = measure(make, lambda: (torch.randn(32, WIDTH),), seeds=6)
    torch.manual_seed(0)
    predicted = predict(make(), torch.randn(32, WIDTH))
    assert predicted.run.unknown == {}
    layers = [str(2 * i) for i in range(DEPTH)]
    forward = [math.sqrt(predicted.of(n) / real.outputs[n]) for n in layers]
    # a stack at the edge of order multiplies the fluctuations of 256 units in each layer
    assert np.median(np.abs(np.log(forward))) < 0.06
    assert max(abs(math.log(r)) for r in forward) < 0.25
    back = [math.sqrt(predicted.gradient(f"{n}.weight") / real.gradients[f"{n}.weight"]) for n in layers]
    assert np.median(np.abs(np.log(back))) < 0.12
    assert max(abs(math.log(r)) for r in back) < 0.45


def nn_leaky(x: np.ndarray) -> np.ndarray:
    """LeakyReLU with the slope used above."""
    return np.where(x > 0, x, 0.2 * x)


@pytest.mark.parametrize(("name", "gain"), [("tanh", 1.0), ("tanh", 2.5), ("relu", math.sqrt(2)), ("gelu", 1.5)])
def test_what_two_inputs_have_in_common_follows_the_correlation_map(name: str, gain: float) -> None:
    def make() -> nn.Module:
        return stack(ACTIVATIONS[name], gain, bias=0.3)

    real = measure(make, lambda: (torch.randn(2, WIDTH),), seeds=16)
    torch.manual_seed(0)
    predicted = predict(make(), torch.randn(2, WIDTH))
    signal = predicted.run.forward[predicted.graph.outputs[0]]
    assert signal is not None
    assert signal.samples / signal.q == pytest.approx(real.samples / real.output, abs=0.06)


@pytest.mark.parametrize(("gain", "expected"), [(math.sqrt(2), 1.0), (1 / math.sqrt(3), 1 / 6), (2.0, 2.0)])
def test_he_keeps_and_the_default_loses_what_theory_says(gain: float, expected: float) -> None:
    """He et al. 2015, arXiv 1502.01852: a ReLU layer multiplies the second moment by half the square of its gain."""
    graph = recorded(stack(nn.ReLU(), gain), torch.randn(2, WIDTH))
    plan = planned(read_weights(graph), {f"{2 * i}.weight": gain / math.sqrt(WIDTH) for i in range(DEPTH)})
    predicted = Predicted(graph, propagate(graph, plan))
    # the first layer has no ReLU in front
    assert [predicted.of(str(2 * i)) for i in range(DEPTH)] == pytest.approx(
        [gain**2 * expected**i for i in range(DEPTH)], rel=1e-6
    )


@pytest.mark.parametrize("width", [64, 256])
def test_the_mean_that_a_draw_happens_to_have_is_counted(width: int) -> None:
    """Behind ReLU a mean of 1e-4 in 65,536 weights moves the signal by percents, and the run with it."""
    with_mean, without = [], []
    for seed in range(12):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [nn.Linear(width, width), nn.ReLU()]
            nn.init.normal_(layers[-2].weight, std=math.sqrt(2 / width))
            nn.init.zeros_(layers[-2].bias)
        module, x = nn.Sequential(*layers[:-1]), torch.randn(512, width)
        graph = recorded(module, x)
        weights = read_weights(graph)
        real = math.log(float(module.double()(x.double()).square().mean().detach()))
        for into, known in (
            (with_mean, weights),
            (without, {name: WeightStatistics(0.0, w.q) for name, w in weights.items()}),
        ):
            into.append(math.log(Predicted(graph, propagate(graph, known)).output) - real)
    assert np.square(with_mean).mean() < 0.85 * np.square(without).mean()


def test_the_gradient_of_a_he_stack_is_the_same_in_every_layer() -> None:
    torch.manual_seed(0)
    run = predict(stack(nn.ReLU(), math.sqrt(2)), torch.randn(64, WIDTH))
    values = [run.gradient(f"{2 * i}.weight") for i in range(1, DEPTH)]
    assert values == pytest.approx([values[0]] * len(values), rel=0.12)


def test_a_sigmoid_stack_with_the_default_draw_loses_its_gradient_as_measured() -> None:
    def make() -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(DEPTH):
            layers += [nn.Linear(WIDTH, WIDTH), nn.Sigmoid()]
        return nn.Sequential(*layers[:-1])

    real = measure(make, lambda: (torch.randn(32, WIDTH),), seeds=4)
    predicted = predict(make(), torch.randn(32, WIDTH))
    slope = math.log(predicted.gradient("0.weight") / predicted.gradient("12.weight"))
    assert slope == pytest.approx(math.log(real.gradients["0.weight"] / real.gradients["12.weight"]), rel=0.03)
