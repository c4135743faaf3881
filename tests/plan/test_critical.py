"""The critical start against the published line and against its own definition."""

from __future__ import annotations

import pytest

from initadvisor.graph import Activation
from initadvisor.ops.gains import moments
from initadvisor.plan.critical import SATURATING, critical, is_saturating


def test_tanh_at_a_second_moment_of_026_is_the_published_point():
    """sw 1.0247, sb .00448 give q* .0259 and chi1 1 (Xiao et al. 2018, arXiv 1806.05393)."""
    start = critical("tanh", (), 1000)
    assert start.gain == pytest.approx(1.0247, abs=2e-4)
    assert start.bias == pytest.approx(0.00448, abs=5e-5)
    assert start.second == pytest.approx(0.026, abs=2e-4)


@pytest.mark.parametrize("name", sorted(SATURATING & {"tanh", "sigmoid", "hardtanh", "hardsigmoid", "softsign", "erf"}))
@pytest.mark.parametrize("depth", [4, 30, 1000])
def test_the_second_moment_is_a_fixed_point_with_a_gradient_factor_of_one(name, depth):
    start = critical(name, (), depth)
    found = moments(name, start.second)
    assert start.gain**2 * found.slope == pytest.approx(1.0)
    variance = found.second - found.mean**2
    assert start.gain**2 * variance + start.bias**2 == pytest.approx(start.second, rel=1e-6)


def test_sigmoid_is_tanh_in_other_units():
    tanh, sigmoid = critical("tanh", (), 50), critical("sigmoid", (), 50)
    assert sigmoid.gain == pytest.approx(4 * tanh.gain)
    assert sigmoid.second == pytest.approx(4 * tanh.second)
    assert sigmoid.centred
    assert not tanh.centred


def test_the_first_layer_brings_a_unit_input_to_the_fixed_point_where_that_is_near():
    start = critical("tanh", (), 6)
    assert start.first**2 + start.bias**2 == pytest.approx(start.second)
    assert critical("tanh", (), 5000).first > 0.2 * moments("tanh", 1.0).second ** -0.5


def test_only_bounded_activations_want_it():
    assert is_saturating(Activation("tanh"))
    assert not is_saturating(Activation("relu"))
    assert not is_saturating(None)
