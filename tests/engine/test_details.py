"""What a check measures for pictures, and only for these."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.report.details import BINS


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.second = nn.Linear(64, 64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        return self.head(torch.relu(x + self.second(y)))


@pytest.fixture(scope="module")
def report() -> initadvisor.Report:
    torch.manual_seed(0)
    model = Residual()
    with torch.no_grad():
        model.second.weight[0, 0] = float("nan")
        model.head.weight[0, 0] = 1e6
    return initadvisor.check(model, input_shape=(4, 64), details=True)


def test_a_plain_check_takes_none() -> None:
    assert initadvisor.check(Residual(), input_shape=(4, 64)).details is None


def test_every_element_is_in_a_bin_or_counted_beside_them(report: initadvisor.Report) -> None:
    assert report.details is not None
    found = {one.layer: one for one in report.details.histograms}
    assert set(found) == {"first", "second", "head"}
    for name, one in found.items():
        assert len(one.counts) == BINS
        assert one.sampled == (640 if name == "head" else 4096), "small weights are read whole"
        assert sum(one.counts) + one.outside + one.not_finite == one.sampled
    assert (found["first"].outside, found["first"].not_finite) == (0, 0)
    assert found["second"].not_finite == 1
    assert found["head"].outside == 1, "a far outlier does not press the others into one bin"
    # PyTorch draws from U(-1/8, 1/8) for a fan-in of 64.
    assert found["first"].std == pytest.approx(1 / (8 * math.sqrt(3)), rel=0.03)
    assert np.isclose([found["first"].low, found["first"].high], [-0.125, 0.125], atol=1e-3).all()


def test_a_histogram_carries_the_density_that_the_layers_place_calls_for(report: initadvisor.Report) -> None:
    """He et al. 2015, arXiv 1502.01852: variance 2 / fan_in in front of a ReLU, whatever the draw is called."""
    assert report.details is not None
    first = report.details.histograms[0].recommended
    assert first is not None
    assert first.std == pytest.approx(math.sqrt(2 / 64), rel=1e-6)


def test_the_flow_says_what_feeds_each_operator(report: initadvisor.Report) -> None:
    assert report.details is not None
    flow = report.details.flow
    assert [step.operator for step in flow] == ["linear", "relu", "linear", "add", "relu", "linear"]
    assert [step.inputs for step in flow] == [(), (0,), (1,), (2,), (3,), (4,)]
    assert [step.layer for step in flow] == ["first", None, "second", None, None, "head"]
    assert [step.where for step in flow if step.layer] == ["first", "second", "head"]
    assert report.details.operators == 6
