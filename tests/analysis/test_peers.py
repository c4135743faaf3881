"""The common recipe of a group of layers, against draws whose recipe is known."""

from __future__ import annotations

import math

import pytest

from initadvisor.analysis.peers import Drawn, standings

FANS = [(64, 64), (64, 256), (256, 64), (128, 512), (512, 32), (16, 1024)]
SCALES = {
    "one std for all": lambda i, o: 0.02,
    "1/sqrt(fan_in)": lambda i, o: math.sqrt(2 / i),
    "1/sqrt(fan_out)": lambda i, o: math.sqrt(2 / o),
    "1/sqrt(fan_in + fan_out)": lambda i, o: math.sqrt(2 / (i + o)),
}


def _layers(scale, factors=(1, 1, 1, 1, 1, 1), group="conv"):
    return [
        Drawn(str(n), group, factor * scale(i, o), i, o, i, o)
        for n, ((i, o), factor) in enumerate(zip(FANS, factors, strict=True))
    ]


@pytest.mark.parametrize("recipe", SCALES)
def test_the_recipe_is_recognised_and_all_follow_it(recipe: str) -> None:
    found = standings(_layers(SCALES[recipe]))
    assert {standing.recipe for standing in found.values()} == {recipe}
    assert all(standing.ratio == pytest.approx(1.0) for standing in found.values())
    assert all(standing.peers == 5 for standing in found.values())


@pytest.mark.parametrize("recipe", SCALES)
@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_one_layer_off_the_recipe_stands_out_by_its_factor(recipe: str, factor: float) -> None:
    found = standings(_layers(SCALES[recipe], (1, 1, 1, factor, 1, 1)))
    assert found["3"].ratio == pytest.approx(factor)
    assert all(found[n].ratio == pytest.approx(1.0) for n in "01245")


def test_few_layers_or_other_kinds_show_no_recipe() -> None:
    assert standings(_layers(SCALES["one std for all"])[:4]) == {}
    mixed = _layers(SCALES["one std for all"])[:3] + _layers(SCALES["one std for all"], group="linear")[3:]
    assert standings(mixed) == {}


def test_a_group_without_a_common_recipe_says_so_by_its_spread() -> None:
    found = standings(_layers(SCALES["one std for all"], (1, 30, 900, 1 / 30, 1 / 900, 5)))
    assert all(standing.spread > 3 for standing in found.values())
