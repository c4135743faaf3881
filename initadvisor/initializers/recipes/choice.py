"""What a recipe answers: for each parameter it has a say on, how to draw it and why."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from initadvisor.errors import UsageError
from initadvisor.graph import Graph
from initadvisor.initializers.spec import InitSpec


@dataclass(frozen=True, slots=True)
class Choice:
    """How one parameter is drawn, why, and by what factor an optimizer's learning rate should differ for it.

    `learning_rate` maps an optimizer ("adam", "sgd") to its multiplier; empty means 1 for all.
    """

    spec: InitSpec
    reason: str
    learning_rate: Mapping[str, float] = field(default_factory=dict)


Choices = dict[str, Choice]
RecipeFunction = Callable[..., Choices]
F = TypeVar("F", bound=RecipeFunction)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A registered recipe: a function of a described graph and parameters of its own."""

    name: str
    function: RecipeFunction

    @property
    def doc(self) -> str:
        """The recipe's page: formula, use, caveat and source."""
        return inspect.getdoc(self.function) or ""

    def __call__(self, graph: Graph, **params: Any) -> Choices:
        """The choices for a described graph; raises UsageError for a parameter that the recipe does not have."""
        known = list(inspect.signature(self.function).parameters)[1:]
        for name in params:
            if name not in known:
                hint = f"it has {', '.join(known) or 'none'}"
                raise UsageError(f"recipe {self.name!r} has no parameter {name!r}", hint=hint)
        return self.function(graph, **params)


RECIPES: dict[str, Recipe] = {}


def recipe(name: str) -> Callable[[F], F]:
    """Register a function (graph, **parameters) -> choices by parameter name."""

    def add(function: F) -> F:
        if name in RECIPES:
            raise ValueError(f"recipe {name!r} is registered twice")
        RECIPES[name] = Recipe(name, function)
        return function

    return add
