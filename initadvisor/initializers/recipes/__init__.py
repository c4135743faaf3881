"""Recipes for whole models, one file each; importing this package registers every module in it."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from initadvisor.initializers.recipes.choice import RECIPES, Choice, Choices, Recipe, recipe

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["RECIPES", "Choice", "Choices", "Recipe", "recipe"]
