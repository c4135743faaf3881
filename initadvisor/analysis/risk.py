"""The risk that training fails, from several statistics at once: a logistic model whose numbers are a data file's.

Here is only how such a file is read and applied; its coefficients, and what they were calibrated on, stand in
`rules/risk.toml`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from initadvisor.errors import RuleError

SMALLEST = 1e-30
"""What a logarithm takes in place of zero."""

TRANSFORMS: Mapping[str, Callable[[float], float]] = {
    "value": lambda x: x,
    "log": lambda x: math.log10(max(x, SMALLEST)),
    "distance": lambda x: abs(math.log10(max(x, SMALLEST))),
    "apart": lambda x: math.log10(max(1.0 - x, SMALLEST)),
}
"""By name: the value; its decimal logarithm; how many decades it is from 1; the logarithm of what lacks to 1."""


@dataclass(frozen=True, slots=True)
class Term:
    """One statistic: transformed, held inside [low, high], times its weight; `unknown` where it was not measured."""

    fact: str
    transform: str
    low: float
    high: float
    unknown: float
    weight: float

    def of(self, facts: Mapping[str, Any]) -> float:
        """Its part of the logit."""
        value = facts.get(self.fact)
        if value is None or math.isnan(value):
            return self.weight * self.unknown
        return self.weight * min(max(self.transformed(float(value)), self.low), self.high)

    def transformed(self, value: float) -> float:
        """The value on the scale of the term."""
        return TRANSFORMS[self.transform](value)


@dataclass(frozen=True, slots=True)
class Scale:
    """A logistic model over the facts of one look.

    needs: facts without which there is no risk to give. fresh: the smallest share of the weights that must look drawn:
    of a model that is trained already there is nothing to say. seek: the risk above which it is worth a prediction what
    other activations or norms would make of it.
    """

    intercept: float
    terms: tuple[Term, ...]
    needs: tuple[str, ...]
    fresh: float
    seek: float = 1.0

    def risk(self, facts: Mapping[str, Any]) -> float | None:
        """The probability that training fails, None where a fact is lacking that it rests on."""
        if any(facts.get(name) is None for name in self.needs) or facts.get("model.fresh", 1.0) < self.fresh:
            return None
        logit = self.intercept + sum(term.of(facts) for term in self.terms)
        return 1 / (1 + math.exp(-min(max(logit, -50.0), 50.0)))


def read(path: Path) -> dict[str, Scale]:
    """The scales of a file by the name of their look; raises RuleError where it does not say what it must."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _scale(table) for name, table in tables.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RuleError(f"the risk table {path.name} cannot be used: {error!r}", hint="install again") from error


def _scale(table: Mapping[str, Any]) -> Scale:
    terms = tuple(
        Term(str(t["fact"]), str(t["transform"]), *(float(t[key]) for key in ("low", "high", "unknown", "weight")))
        for t in table["terms"]
    )
    for term in terms:
        if term.transform not in TRANSFORMS:
            raise ValueError(f'no transform "{term.transform}"')
    return Scale(
        float(table["intercept"]), terms, tuple(table["needs"]), float(table["fresh"]), float(table.get("seek", 1.0))
    )
