"""The recipe that layers of one kind share, and how far each layer departs from it.

A model draws its layers by one rule: one standard deviation for all, or one that goes with 1/sqrt of a fan. Which
rule it is shows in the weights: it is the one under which the layers agree best. A layer far off that rule was
drawn differently, whatever the rule is and whether or not a norm hides it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

MIN_GROUP = 5
"""Fewer layers than this show no common rule."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A weight as far as its scale goes. `group` holds what makes layers comparable; rms must be above 0."""

    name: str
    group: Hashable
    rms: float
    fan_in: float
    fan_out: float
    conventional_fan_in: float
    conventional_fan_out: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How a layer stands among its peers.

    peers: the number of other layers in its group. ratio: its rms over the one that their recipe gives it.
    recipe: what they follow, in words. spread: the factor within which three quarters of the group lie.
    """

    peers: int
    ratio: float
    recipe: str
    spread: float


RECIPES: Mapping[str, Callable[[Drawn], float]] = {
    "one std for all": lambda layer: 1.0,
    "1/sqrt(fan_in)": lambda layer: layer.fan_in,
    "1/sqrt(fan_out)": lambda layer: layer.fan_out,
    "1/sqrt(fan_in + fan_out)": lambda layer: layer.fan_in + layer.fan_out,
    "1/sqrt(fan_in of axis 1)": lambda layer: layer.conventional_fan_in,
    "1/sqrt(fan_out of axis 0)": lambda layer: layer.conventional_fan_out,
}
"""What the square of the standard deviation goes with, the simpler ones first."""


def standings(layers: Iterable[Drawn]) -> dict[str, Standing]:
    """Where each layer stands; layers in groups of fewer than MIN_GROUP are left out."""
    groups: dict[Hashable, list[Drawn]] = {}
    for layer in layers:
        groups.setdefault(layer.group, []).append(layer)
    found: dict[str, Standing] = {}
    for group in groups.values():
        if len(group) >= MIN_GROUP:
            found |= _judge(group)
    return found


def _judge(group: list[Drawn]) -> dict[str, Standing]:
    best: tuple[float, str, list[float]] | None = None
    for recipe, fan in RECIPES.items():
        scales = [math.log(layer.rms) + 0.5 * math.log(max(fan(layer), 1e-12)) for layer in group]
        middle = median(scales)
        departures = [scale - middle for scale in scales]
        spread = sorted(map(abs, departures))[(3 * len(departures)) // 4]
        # A later recipe must explain clearly more: with equal fans all of them agree.
        if best is None or spread < 0.9 * best[0] - 1e-6:
            best = spread, recipe, departures
    assert best is not None
    spread, recipe, departures = best
    return {
        layer.name: Standing(len(group) - 1, math.exp(departure), recipe, math.exp(spread))
        for layer, departure in zip(group, departures, strict=True)
    }
