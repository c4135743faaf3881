"""The probability that a stretch is born dead, against its closed form and against draws."""

from __future__ import annotations

import numpy as np
import pytest

from initadvisor.analysis.stretches import Link, stretches
from initadvisor.graph import Activation

RELU = Activation("relu", (), 0.5, 0.5)


def _stack(widths: list[int], activation: Activation = RELU, lifted: bool = False) -> float:
    links = [
        Link(str(i), (str(i - 1),) if i else (), 1.4, activation, units=n, lifted=lifted) for i, n in enumerate(widths)
    ]
    return stretches(links)[str(len(widths) - 1)].born_dead


@pytest.mark.parametrize("widths", [[4] * 10, [3, 5, 2, 8], [64] * 30, [2, 2]])
def test_it_is_the_formula_of_the_paper_without_the_first_layer(widths: list[int]) -> None:
    expected = 1 - np.prod([1 - 2.0**-n for n in widths[1:]])
    assert _stack(widths) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_functions_with_a_slope_everywhere_and_raised_biases_are_never_dead() -> None:
    assert _stack([2] * 20, Activation("leaky_relu", (("negative_slope", 0.1),), 0.505, 0.505)) == 0.0
    assert _stack([2] * 20, lifted=True) == 0.0


@pytest.mark.parametrize(("width", "depth"), [(3, 6), (4, 10), (5, 12)])
def test_draws_die_for_one_input_as_often_as_it_says(width: int, depth: int) -> None:
    rng = np.random.default_rng(0)
    draws, dead = 4000, 0
    for _ in range(draws):
        h = np.abs(rng.normal(size=width))  # behind the first layer, which is left out
        for _ in range(depth - 1):
            h = np.maximum(h @ rng.normal(size=(width, width)), 0)
        dead += not h.any()
    error = 3.5 * np.sqrt(0.25 / draws)
    assert dead / draws == pytest.approx(_stack([width] * depth), abs=error)
