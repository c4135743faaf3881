"""Stretches without norms against closed forms and against networks measured in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from initadvisor.analysis.stretches import Link, residual_growth, stretches
from initadvisor.graph import Activation

RELU, TANH, SIGMOID, LINEAR = (Activation(name) for name in ("relu", "tanh", "sigmoid", "linear"))


def _chain(depth: int, gain: float, activation: Activation, **link) -> list[Link]:
    return [Link(str(n), (str(n - 1),) if n else (), gain, activation, **link) for n in range(depth)]


@pytest.mark.parametrize(
    ("gain", "per_layer"), [(math.sqrt(2), 1.0), (1.0, math.sqrt(0.5)), (math.sqrt(1 / 3), math.sqrt(1 / 6))]
)
@pytest.mark.parametrize("depth", [1, 2, 30])
def test_a_relu_stretch_is_a_power(gain: float, per_layer: float, depth: int) -> None:
    last = stretches(_chain(depth, gain, RELU))[str(depth - 1)]
    assert last.signal == pytest.approx(per_layer**depth, rel=1e-6)
    assert last.gradient == pytest.approx(per_layer ** (depth - 1), rel=1e-6)
    assert (last.start, last.depth, last.ends) == ("0", depth, True)


def test_one_weak_layer_leaves_its_own_gradient_whole() -> None:
    links = _chain(8, math.sqrt(2), RELU)
    links[3] = Link("3", ("2",), 1e-4 * math.sqrt(2), RELU)
    last = stretches(links)["7"]
    assert last.signal == pytest.approx(1e-4, rel=1e-6)
    assert last.gradient == pytest.approx(1.0, rel=1e-6)


def test_only_the_last_layer_ends_the_stretch_and_a_gap_starts_another() -> None:
    links = [*_chain(4, 1.0, LINEAR), Link("4", (), 3.0, LINEAR), Link("5", ("4",), None, LINEAR)]
    found = stretches(links)
    assert [found[str(n)].ends for n in range(5)] == [False, False, False, True, True]
    assert found["4"].start == "4"
    assert "5" not in found


def test_zero_and_unknown_layers_have_no_stretch_and_what_follows_starts_anew() -> None:
    links = _chain(5, math.sqrt(2), RELU)
    links[2] = Link("2", ("1",), 0.0, RELU)
    found = stretches(links)
    assert "2" not in found
    assert found["3"].start == "3"
    assert found["4"].depth == 2


def test_concatenated_layers_average_their_squares() -> None:
    links = [
        Link("a", (), 1.0, LINEAR),
        Link("b", ("a",), 3.0, LINEAR),
        Link("c", ("a",), 4.0, LINEAR),
        Link("d", ("b", "c"), 1.0, LINEAR),
    ]
    found = stretches(links)
    assert found["d"].signal == pytest.approx(math.sqrt((9 + 16) / 2))
    assert not found["b"].ends
    assert found["d"].depth == 3


@pytest.mark.parametrize(
    ("activation", "function", "slope"),
    [
        (TANH, np.tanh, lambda z: 1 - np.tanh(z) ** 2),
        (SIGMOID, lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    ],
)
@pytest.mark.parametrize("gain", [0.577, 1.0, 2.0])
def test_saturating_stretches_follow_a_measured_jacobian(activation, function, slope, gain: float) -> None:
    width, depth = 1500, 5
    rng = np.random.default_rng(0)
    x = rng.standard_normal(width)
    tangent = rng.standard_normal(width)
    start = np.linalg.norm(tangent)
    for _ in range(depth):
        weight = rng.standard_normal((width, width)) * gain / math.sqrt(width)
        z = weight @ x
        tangent = slope(z) * (weight @ tangent)
        x = function(z)
    predicted = stretches(_chain(depth, gain, activation))[str(depth - 1)].signal
    assert predicted == pytest.approx(np.linalg.norm(tangent) / start, rel=0.1)


@pytest.mark.parametrize("blocks", [1, 10, 24])
def test_he_branches_double_the_second_moment_of_the_stream(blocks: int) -> None:
    branch = [Link("a", (), math.sqrt(2), RELU), Link("b", ("a",), 1.0, LINEAR)]
    growth, counted = residual_growth([branch] * blocks)
    assert counted == blocks
    assert growth == pytest.approx(2 ** (blocks / 2), rel=2e-3)


def test_zero_branch_ends_leave_the_stream_alone() -> None:
    branch = [Link("a", (), math.sqrt(2), RELU), Link("b", ("a",), 0.0, LINEAR)]
    assert residual_growth([branch] * 100)[0] == pytest.approx(1.0)
