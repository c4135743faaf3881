"""What drew each tensor of a torchvision model, and whether a draw was recognised as that."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import nn

from initadvisor.analysis.facts.tensor import DrawFacts

DISTRIBUTIONS = {
    "uniform_": "uniform", "xavier_uniform_": "uniform", "kaiming_uniform_": "uniform", "normal_": "normal",
    "xavier_normal_": "normal", "kaiming_normal_": "normal", "trunc_normal_": "normal", "constant_": "constant",
    "zeros_": "constant", "ones_": "constant", "orthogonal_": "orthogonal",
}  # fmt: skip
"""What each function of `torch.nn.init` draws; torchvision's truncated normals are cut at +-2, beyond any draw."""

FAMILIES = {"xavier_uniform_": "xavier", "xavier_normal_": "xavier", "kaiming_uniform_": "he", "kaiming_normal_": "he"}
"""What a function draws by its name; a normal or uniform of a plain width may be any family's of that very width."""

METHODS = {
    "pytorch_default": "default", "kaiming_normal": "he", "kaiming_uniform": "he", "xavier_normal": "xavier",
    "xavier_uniform": "xavier", "xavier_uniform_fused": "xavier", "lecun_normal": "lecun", "lecun_uniform": "lecun",
}  # fmt: skip
"""The families of the methods that are named as alternatives."""


def right(draw: DrawFacts, function: str, width: float) -> bool:
    """Whether a draw has the distribution and the family of the function that made it, among what fits equally well.

    width: the standard deviation that a plain normal was asked for, the gain that a Kaiming draw was made with.
    """
    if DISTRIBUTIONS[function] != draw.distribution:
        return False
    if function not in FAMILIES:
        return draw.std is None or not width or abs(draw.std / width - 1) < 0.03
    wanted = {FAMILIES[function]}
    if function.startswith("kaiming") and abs(width - sqrt(2)) > 1e-9:
        # He's formula with another gain is the default's at 1/sqrt(3), LeCun's at 1, and else that of no name.
        uniform = function == "kaiming_uniform_"
        wanted = {"default"} if uniform and abs(width - sqrt(1 / 3)) < 1e-9 else {"lecun", "scaled"}
    others = {METHODS.get(text.partition("/")[0], "") for text in draw.alternatives or ()}
    return bool(wanted & {draw.family, *others})


def record() -> dict[int, tuple[str, float]]:
    """Wrap the functions of `torch.nn.init`; returns the table of what drew each tensor last, and how wide, by id."""
    table: dict[int, tuple[str, float]] = {}
    nested: list[str] = []

    def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)

        def width(arguments: dict[str, Any]) -> float:
            if name.startswith("kaiming"):
                return float(nn.init.calculate_gain(arguments["nonlinearity"], arguments["a"]))
            return float(arguments.get("std", 0.0)) if name in ("normal_", "trunc_normal_") else 0.0

        @functools.wraps(function)
        def call(tensor: Any, *given: Any, **named: Any) -> Any:
            nested.append(name)
            try:
                return function(tensor, *given, **named)
            finally:
                nested.pop()
                if not nested:
                    bound = signature.bind(tensor, *given, **named)
                    bound.apply_defaults()
                    table[id(tensor)] = (name, width(bound.arguments))

        return call

    for name in DISTRIBUTIONS:
        setattr(nn.init, name, wrapped(name, getattr(nn.init, name)))
    for name in ("xavier_uniform_", "xavier_normal_", "constant_"):
        setattr(torch.nn.modules.activation, name, getattr(nn.init, name))
    return table
