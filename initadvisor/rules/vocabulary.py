"""The names that a rule may use, with their types, so that a misspelt fact is an error and never a silent "ok"."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FactType = Literal["number", "text", "flag", "numbers", "texts"]
FactValue = float | str | bool | list[float] | list[str]
Scope = Literal["model", "layer", "tensor", "norm", "activation", "batch", "step", "client", "clients"]


@dataclass(frozen=True, slots=True)
class FactName:
    """One fact: its dotted name, its type, and what a rule author has to know of it."""

    name: str
    type: FactType
    description: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Vocabulary:
    """The facts that each scope offers.

    `scopes` maps a scope to the fact groups that its subjects carry ("layer" -> layer, tensor, bias, model);
    `groups` maps a group to its facts by their full dotted name.
    """

    scopes: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, Mapping[str, FactName]]
    _cache: dict[str, dict[str, FactName]] = field(default_factory=dict, repr=False, compare=False)

    def of(self, scope: str) -> dict[str, FactName]:
        """Every fact that a rule of this scope may name; empty for a scope that this version cannot measure."""
        if scope not in self._cache:
            groups = self.scopes.get(scope, ())
            self._cache[scope] = {name: fact for group in groups for name, fact in self.groups[group].items()}
        return self._cache[scope]


def vocabulary(scopes: Mapping[str, Mapping[str, type]]) -> Vocabulary:
    """Read a vocabulary off pydantic fact models, given as scope -> group -> model."""
    groups: dict[str, Mapping[str, FactName]] = {}
    for members in scopes.values():
        for group, model in members.items():
            groups.setdefault(group, {fact.name: fact for fact in _facts_of(model, group)})
    return Vocabulary({scope: tuple(members) for scope, members in scopes.items()}, groups)


def _facts_of(model: Any, prefix: str) -> Iterator[FactName]:
    for name, info in model.model_fields.items():
        kind = _strip_none(info.annotation)
        if hasattr(kind, "model_fields"):
            yield from _facts_of(kind, f"{prefix}.{name}")
            continue
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        yield FactName(f"{prefix}.{name}", _type_of(kind), info.description or "", str(extra.get("unit", "")))


def _strip_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kept = [a for a in typing.get_args(annotation) if a is not type(None)]
        return kept[0] if len(kept) == 1 else annotation
    return annotation


def _type_of(kind: Any) -> FactType:
    origin = typing.get_origin(kind)
    if origin is Literal or kind is str:
        return "text"
    if kind is bool:
        return "flag"
    if kind in (int, float):
        return "number"
    if origin in (tuple, list):
        return "texts" if typing.get_args(kind)[0] is str else "numbers"
    raise TypeError(f"a fact of type {kind!r} has no counterpart in rule expressions")


_FIELDS: dict[Any, tuple[tuple[str, bool], ...]] = {}


def _fields(model: Any) -> tuple[tuple[str, bool], ...]:
    """(name, whether it is a model itself) for each field, found once a model."""
    if model not in _FIELDS:
        kinds = ((name, _strip_none(info.annotation)) for name, info in model.model_fields.items())
        _FIELDS[model] = tuple((name, hasattr(kind, "model_fields")) for name, kind in kinds)
    return _FIELDS[model]


def flatten(group: str, facts: Any, into: dict[str, FactValue]) -> dict[str, FactValue]:
    """Add the known facts of one pydantic model to `into` under "group.name"; None and NaN are left out as unknown.

    Every number becomes a double, since the expression language does not mix integers and doubles. Lone surrogates
    in text (names from damaged files) are escaped: nothing after this point can store them.
    """
    for name, nested in _fields(type(facts)):
        value = getattr(facts, name)
        if value is None:
            continue
        if nested:
            flatten(f"{group}.{name}", value, into)
        elif isinstance(value, bool):
            into[f"{group}.{name}"] = value
        elif isinstance(value, str):
            into[f"{group}.{name}"] = clean_text(value)
        elif isinstance(value, (tuple, list)):
            into[f"{group}.{name}"] = [clean_text(v) if isinstance(v, str) else float(v) for v in value]  # type: ignore[assignment]
        else:
            number = float(value)
            if number == number:
                into[f"{group}.{name}"] = number
    return into


def clean_text(text: str) -> str:
    """The text with lone surrogates written as escapes, so that it can be encoded."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
