"""Facts of the predicted signal against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from initadvisor.analysis import structure
from initadvisor.analysis.collect.signals import Signals
from initadvisor.analysis.facts.signal import ModelSignalFacts
from initadvisor.analysis.forecast import Forecast, foresee
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends import load
from initadvisor.frontends.options import LoadOptions


def _facts(model: nn.Module, *shape: int) -> ModelSignalFacts:
    return _signals(model, *shape)[0]


def _signals(model: nn.Module, *shape: int) -> tuple[ModelSignalFacts, Signals]:
    graph = structure.describe(load(model, LoadOptions(input_shapes=(shape,))))
    signals = Signals(graph, foresee(graph, tensor_facts(graph)))
    assert signals.model is not None
    return signals.model, signals


def _linear(width: int, gain: float) -> nn.Linear:
    """As many weights of gain / sqrt(width) as of its negative: mean 0 and rms are exact, with no error of sampling."""
    layer = nn.Linear(width, width, bias=False)
    signs = torch.ones(width * width)
    signs[: width * width // 2] = -1.0
    with torch.no_grad():
        layer.weight.copy_(signs[torch.randperm(width * width)].view(width, width) * gain / math.sqrt(width))
    return layer


def _relu_stack(depth: int, gain: float, width: int = 64) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [m for _ in range(depth) for m in (_linear(width, gain), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


@pytest.mark.parametrize(("depth", "gain"), [(4, 1.0), (8, math.sqrt(2.0)), (8, 3.0)])
def test_the_ratios_of_a_relu_stack(depth: int, gain: float) -> None:
    found = _facts(_relu_stack(depth, gain), 4, 64)
    chi = gain * gain / 2.0
    # The head reads what the last ReLU leaves: half of the second moment, `depth - 1` layers behind the first output.
    assert found.rms_ratio == pytest.approx(math.sqrt(0.5 * chi ** (depth - 1)), rel=1e-3)
    assert found.backward_ratio == pytest.approx(math.sqrt(0.5 * chi ** (depth - 1)), rel=1e-2)
    assert found.first_layer == "0"
    assert found.last_layer == str(2 * depth)
    assert found.layers == depth + 1
    assert found.known == 1.0


def test_depth_scales_are_the_logarithm_of_the_squared_gradient_ratio() -> None:
    found = _facts(_relu_stack(10, 2.0), 4, 64)
    assert found.backward_ratio is not None
    assert found.depth_scales == pytest.approx(2.0 * math.log(found.backward_ratio))
    assert found.depth_scale == pytest.approx(9.0 / (found.depth_scales or 0.0))
    assert found.sensitivity == pytest.approx(found.backward_ratio ** (1 / 9))


def test_what_a_norm_divides_out_changes_no_scaled_ratio() -> None:
    def build(scale: float) -> nn.Module:
        torch.manual_seed(0)
        blocks = [m for _ in range(5) for m in (nn.Linear(64, 64, bias=False), nn.LayerNorm(64), nn.ReLU())]
        model = nn.Sequential(*blocks, nn.Linear(64, 10))
        with torch.no_grad():
            model[0].weight.mul_(scale)
        return model

    plain, scaled = _facts(build(1.0), 4, 64), _facts(build(1e3), 4, 64)
    assert scaled.scaled_backward_ratio == pytest.approx(plain.scaled_backward_ratio or 0.0, rel=1e-2)
    assert scaled.scaled_forward_ratio == pytest.approx(plain.scaled_forward_ratio or 0.0, rel=1e-2)
    assert (plain.rms_ratio or 0.0) / (scaled.rms_ratio or 1.0) == pytest.approx(1e3, rel=0.01)


class _Block(nn.Module):
    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.a, self.b = _linear(width, math.sqrt(2.0)), _linear(width, 1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.b(torch.relu(self.a(self.norm(x))))


@pytest.mark.parametrize(("norm", "factor"), [(False, 2.0), (True, 1.0 + 1 / 9)])
def test_the_stream_doubles_with_plain_branches_and_grows_by_one_with_normalised_ones(
    norm: bool, factor: float
) -> None:
    torch.manual_seed(0)
    found = _facts(nn.Sequential(*[_Block(64, norm) for _ in range(12)], nn.Linear(64, 10)), 4, 64)
    assert found.stream_additions == 12
    # From one addition to the next in the second half: twice as much, or (l + 2) / (l + 1) with l from 6 on.
    assert found.stream_factor == pytest.approx(factor, rel=0.03)


def test_the_facts_of_a_layer_are_those_of_the_prediction() -> None:
    model, signals = _signals(_relu_stack(4, math.sqrt(2.0)), 4, 64)
    layer = signals.layer("2")
    assert layer is not None
    assert layer.input_rms == pytest.approx(1.0, rel=1e-3)
    assert layer.output_rms == pytest.approx(math.sqrt(2.0), rel=1e-3)
    assert layer.relative_gradient == pytest.approx(1.0, rel=0.2)
    assert signals.layer("no such layer") is None
    assert model.largest_rms == pytest.approx(math.sqrt(2.0), rel=0.05)


def test_hundreds_of_layers_stay_within_floats() -> None:
    found = _facts(_relu_stack(400, math.sqrt(0.5), width=16), 4, 16)
    assert found.backward_ratio is not None
    assert math.isfinite(found.depth_scale or 0.0)
    assert found.backward_ratio == pytest.approx(2.0**-399 * math.sqrt(0.5), rel=1e-2)


def test_without_a_forecast_nothing_is_known() -> None:
    graph = structure.describe(load(_relu_stack(2, 1.0), LoadOptions(input_shapes=((4, 64),))))
    signals = Signals(graph, Forecast(reason="none"))
    assert signals.model is None
    assert signals.layer("0") is None


@pytest.mark.parametrize("gain", [0.5, 3.0])
def test_the_largest_gradients_are_those_of_the_end_that_has_them(gain: float) -> None:
    depth = 6
    found = _facts(_relu_stack(depth, gain), 4, 64)
    # The head's gradient is 1 by definition; behind the last hidden layer it is what the head's weights make of that.
    head = math.sqrt(10 / 64 / 3 / 2)
    back = [head * (gain / math.sqrt(2.0)) ** n for n in range(depth)]
    assert found.largest_gradient_rms == pytest.approx(max([1.0, *back]), rel=0.2)
    assert found.smallest_gradient_rms is not None
    assert found.largest_weight_gradient_rms is not None
    assert found.largest_weight_gradient_rms >= found.smallest_gradient_rms > 0
