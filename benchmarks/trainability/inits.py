"""How the networks start: recipes for all weights, and faults in single layers."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

_SCALED = {"tanh": 5 / 3, "hardtanh": 5 / 3, "softsign": 5 / 3, "sigmoid": 4.0, "selu": 1.0, "linear": 1.0}
"""Gains that keep the second moment near one; sqrt 2 for the rectifiers and their smooth kin."""

Weights = list[torch.Tensor]
Biases = list[torch.Tensor]


def gain(activation: str) -> float:
    """The gain that a careful person would take for this activation."""
    return _SCALED.get(activation, math.sqrt(2.0))


def _normal(std: float) -> Callable[[torch.Tensor, str], object]:
    return lambda w, a: nn.init.normal_(w, 0.0, std)


def _kaiming(factor: float, uniform: bool = False) -> Callable[[torch.Tensor, str], object]:
    """std = factor / sqrt(fan_in)."""

    def draw(w: torch.Tensor, a: str) -> object:
        std = factor / math.sqrt(w[0].numel())
        return nn.init.uniform_(w, -std * math.sqrt(3), std * math.sqrt(3)) if uniform else nn.init.normal_(w, 0.0, std)

    return draw


def _identity(w: torch.Tensor, a: str) -> object:
    nn.init.normal_(w, 0.0, 0.01)
    middle = tuple(s // 2 for s in w.shape[2:])
    for i in range(min(w.shape[:2])):
        w[(i, i, *middle)] += 1.0
    return w


RECIPES: dict[str, Callable[[torch.Tensor, str], object] | None] = {
    "default": None,
    "xavier normal": lambda w, a: nn.init.xavier_normal_(w),
    "xavier uniform": lambda w, a: nn.init.xavier_uniform_(w),
    "he normal": _kaiming(math.sqrt(2)),
    "he uniform": _kaiming(math.sqrt(2), uniform=True),
    "lecun normal": _kaiming(1.0),
    "orthogonal": lambda w, a: nn.init.orthogonal_(w, gain(a)),
    "recommended": lambda w, a: _kaiming(gain(a))(w, a),
    "truncated 0.02": lambda w, a: nn.init.trunc_normal_(w, 0.0, 0.02, -0.04, 0.04),
    "identity": _identity,
    "gain x0.3": lambda w, a: _kaiming(0.3 * gain(a))(w, a),
    "gain x3": lambda w, a: _kaiming(3 * gain(a))(w, a),
    "normal 1": _normal(1.0),
    "normal 0.1": _normal(0.1),
    "normal 0.01": _normal(0.01),
    "normal 0.001": _normal(0.001),
    "uniform 0 to 1": lambda w, a: nn.init.uniform_(w),
    "constant 0.01": lambda w, a: nn.init.constant_(w, 0.01),
    "constant 0.5": lambda w, a: nn.init.constant_(w, 0.5),
    "zeros": lambda w, a: nn.init.zeros_(w),
}
"""Applied to every matrix and convolution, with zero biases; `default` leaves what the modules drew."""

SOUND = (
    "default",
    "xavier normal",
    "xavier uniform",
    "he normal",
    "he uniform",
    "lecun normal",
    "orthogonal",
    "recommended",
)
"""Recipes that people recommend for some network; all the others are planted faults."""


def _one(change: Callable[[torch.Tensor], object]) -> Callable[[Weights, Biases], None]:
    def plant(weights: Weights, biases: Biases) -> None:
        change(weights[len(weights) // 2])

    return plant


def _all_biases(value: float) -> Callable[[Weights, Biases], None]:
    def plant(weights: Weights, biases: Biases) -> None:
        for bias in biases[:-1]:
            bias.fill_(value)

    return plant


def _copied(weights: Weights, biases: Biases) -> None:
    """copy.deepcopy of one layer, again and again."""
    first: dict[torch.Size, torch.Tensor] = {}
    for weight in weights[:-1]:
        weight.copy_(first.setdefault(weight.shape, weight))


def _rows(share: float) -> Callable[[Weights, Biases], None]:
    """This share of the units of every hidden layer the same."""

    def plant(weights: Weights, biases: Biases) -> None:
        for weight in weights[:-1]:
            weight[: int(share * len(weight))] = weight[0].clone()

    return plant


def _head(change: Callable[[torch.Tensor, torch.Tensor], object]) -> Callable[[Weights, Biases], None]:
    return lambda weights, biases: (change(weights[-1], biases[-1]), None)[1]


def _spike(weight: torch.Tensor) -> None:
    weight.view(-1)[0] = 1e4


FAULTS: dict[str, Callable[[Weights, Biases], None]] = {
    "none": lambda weights, biases: None,
    "one layer x10": _one(lambda w: w.mul_(10.0)),
    "one layer x100": _one(lambda w: w.mul_(100.0)),
    "one layer x0.1": _one(lambda w: w.mul_(0.1)),
    "one layer x1e-4": _one(lambda w: w.mul_(1e-4)),
    "one layer zero": _one(lambda w: w.zero_()),
    "one layer constant": _one(lambda w: w.fill_(0.05)),
    "one weight 1e4": _one(_spike),
    "biases 10": _all_biases(10.0),
    "biases -3": _all_biases(-3.0),
    "biases -10": _all_biases(-10.0),
    "copied layers": _copied,
    "equal units": _rows(1.0),
    "half of units equal": _rows(0.5),
    "head x1000": _head(lambda w, b: w.mul_(1000.0)),
    "head zero": _head(lambda w, b: w.zero_()),
    "head bias 50": _head(lambda w, b: b[0].fill_(50.0)),
}
"""Planted after the recipe, in the matrices in the order of the parameters; the last one is the head."""

HARMLESS = ("none", "copied layers", "half of units equal", "head zero", "one layer x0.1")
"""Faults by the book that a network as small as these is expected to get over."""


@torch.no_grad()
def start(module: nn.Module, recipe: str, fault: str, activation: str) -> None:
    """Draw all matrices by the recipe, zero the biases, plant the fault; norms and positions stay as they are."""
    norms = {id(p) for m in module.modules() if "Norm" in type(m).__name__ for p in m.parameters(recurse=False)}
    named = [(n, p) for n, p in module.named_parameters() if id(p) not in norms and n != "position"]
    weights = [p for n, p in named if p.ndim >= 2]
    biases = [p for n, p in named if p.ndim == 1]
    draw = RECIPES[recipe]
    if draw is not None:
        for weight in weights:
            draw(weight, activation)
        for bias in biases:
            bias.zero_()
    FAULTS[fault](weights, biases)
