"""`check(..., explain=LAYER)`: the way of the signal to a layer and back, and the numbers in the report."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.errors import UsageError


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.fc2(torch.relu(self.fc1(x)))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), *[_Block(64) for _ in range(3)], nn.Linear(64, 10))


def test_the_way_starts_at_the_input_and_ends_in_the_layer(model: nn.Module) -> None:
    found = initadvisor.check(model, input_shape=(4, 64), explain="2.fc2").explanation
    assert found is not None
    assert found.layer == "2.fc2"
    assert [(s.operator, s.where) for s in found.forward] == [
        ("linear", "0"),
        ("add", "1"),
        ("linear", "2.fc1"),
        ("relu", "2"),
        ("linear", "2.fc2"),
    ]
    assert found.forward[0].q_in == 1.0
    for before, after in zip(found.forward, found.forward[1:], strict=False):
        assert before.q_out == after.q_in
    assert [name for name, _ in found.forward[1].joins] == ["1.fc2"]
    assert [(s.operator, s.where) for s in found.backward] == [
        ("linear", "4"),
        ("add", "3"),
        ("add", "2"),
        ("linear", "2.fc2"),
    ]
    assert found.backward[0].q_in == 1.0


def test_factors_are_ratios_and_relu_halves(model: nn.Module) -> None:
    found = initadvisor.check(model, input_shape=(4, 64), explain="2.fc2").explanation
    assert found is not None
    relu = found.forward[3]
    assert relu.factor == pytest.approx(0.5, rel=0.1)  # the mean that 4,096 drawn weights happen to have counts too
    assert all(s.factor == pytest.approx((s.q_out or 0.0) / (s.q_in or 1.0)) for s in found.forward)


def test_a_weight_names_its_layer_too(model: nn.Module) -> None:
    found = initadvisor.check(model, input_shape=(4, 64), explain="2.fc2.weight").explanation
    assert found is not None
    assert found.layer == "2.fc2"


def test_an_unknown_layer_is_an_error_with_close_names(model: nn.Module) -> None:
    with pytest.raises(UsageError, match=r"there is no layer '2.fc9'.*did you mean .*2\.fc"):
        initadvisor.check(model, input_shape=(4, 64), explain="2.fc9")
    with pytest.raises(UsageError, match=r"its layers are 0, 1\.fc1"):
        initadvisor.check(model, input_shape=(4, 64), explain="zzzzzzzz")


def test_the_report_carries_the_numbers_of_every_layer(model: nn.Module) -> None:
    report = initadvisor.check(model, input_shape=(4, 64))
    assert report.explanation is None
    assert [row.layer for row in report.signal] == [row.name for row in report.layers]
    assert report.signal[0].input_rms == 1.0
    # PyTorch's default draws U(+-1/sqrt(fan_in)): a third of the second moment passes.
    assert report.signal[0].output_rms == pytest.approx(math.sqrt((1 + 1 / 64) / 3), rel=0.05)
    assert report.signal[-1].gradient_rms == 1.0
