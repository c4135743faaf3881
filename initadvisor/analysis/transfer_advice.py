"""Where weights should come from: the judgement of `rules/pretrained.toml`, read and picked for a domain."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from initadvisor.errors import RuleError


@dataclass(frozen=True, slots=True)
class Counsel:
    """One piece of advice of the table. weights: the tables of the weights that it names."""

    prefer: str
    text: str
    source: str
    weights: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The whole table. least_covered, least_alike: the shares below which a file or an architecture is another one."""

    least_covered: float
    least_alike: float
    domains: tuple[str, ...]
    _advice: tuple[Mapping[str, Any], ...]
    _weights: Mapping[str, Mapping[str, Any]]

    def counsel(self, domain: str, samples: int | None = None) -> Sequence[Counsel]:
        """What is advised in a domain, for so many labelled samples where their number is known."""
        return [
            Counsel(a["prefer"], a["text"], a["source"], tuple(self._weights[name] for name in a.get("weights", ())))
            for a in self._advice
            if domain in a["domains"] and (samples or 0) >= a.get("samples_at_least", 0)
        ]


def read(file: Path) -> Judgement:
    """The table of a file; raises RuleError where it cannot be used."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        advice, weights = tuple(table["advice"]), table["weights"]
        for entry in advice:
            for key in ("domains", "prefer", "text", "source"):
                entry[key]
            for name in entry.get("weights", ()):
                weights[name]
        domains = tuple(dict.fromkeys(domain for entry in advice for domain in entry["domains"]))
        return Judgement(
            float(table["apply"]["least_share"]), float(table["recognise"]["least_share"]), domains, advice, weights
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RuleError(f"{file} cannot be used: {type(error).__name__}: {error}") from error
