"""Messages with named facts: flat look-up and a plain format spec, never attribute access or conversion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from initadvisor.rules.suggest import did_you_mean
from initadvisor.rules.vocabulary import FactName, FactType, FactValue

_NUMBER_SPEC = re.compile(r"^[+ ]?,?(?:\.\d{1,2})?[efg%]$")


class MessageError(ValueError):
    """A message that cannot be formatted; `hint` is what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed message: literal text and (name, spec) in turn."""

    parts: tuple[tuple[str, str | None, str], ...]

    @property
    def references(self) -> tuple[str, ...]:
        """The names that it shows."""
        return tuple(dict.fromkeys(name for _, name, _ in self.parts if name is not None))

    def format(self, values: Mapping[str, FactValue]) -> str:
        """Fill in the names; one that is not known reads "unknown"."""
        return "".join(
            literal + ("" if name is None else show(values.get(name), spec)) for literal, name, spec in self.parts
        )


def fields_of(source: str) -> list[tuple[str, str | None, str]]:
    """(literal, name, format) in turn, of a message that has been checked before; raises MessageError if broken."""
    try:
        return [(literal, name, spec or "") for literal, name, spec, _ in Formatter().parse(source)]
    except ValueError as error:
        raise MessageError(str(error)) from error


def check_translation(source: str, *originals: str) -> None:
    """Raises MessageError where a translated message shows what none of the originals does, or formats wrongly."""
    known = {name: spec for original in originals for _, name, spec in fields_of(original) if name is not None}
    for _, name, spec in fields_of(source):
        if name is None:
            continue
        if name not in known:
            raise MessageError(f'"{name}" is not shown in the English text', did_you_mean(name, known))
        if spec and not (known[name] and _NUMBER_SPEC.match(spec)):
            raise MessageError(f"{{{name}:{spec}}}: the English text shows it as {{{name}:{known[name]}}}")


def parse_message(source: str, names: Mapping[str, FactName]) -> Message:
    """Parse "... {fact:.3g} ..."; raises MessageError for an unknown name or a spec that does not fit its type."""
    parts: list[tuple[str, str | None, str]] = []
    try:
        fields = list(Formatter().parse(source))
    except ValueError as error:
        raise MessageError(str(error)) from error
    for literal, name, spec, conversion in fields:
        if name is None:
            parts.append((literal, None, ""))
            continue
        if name not in names:
            raise MessageError(f'there is no fact, parameter or let value "{name}" here', did_you_mean(name, names))
        if conversion:
            raise MessageError(f"{{{name}!{conversion}}}: conversions are not available")
        _check_spec(name, names[name].type, spec or "")
        parts.append((literal, name, spec or ""))
    return Message(tuple(parts))


def _check_spec(name: str, kind: FactType, spec: str) -> None:
    if not spec:
        return
    if kind not in ("number", "numbers"):
        raise MessageError(f"{{{name}:{spec}}}: a {kind} takes no format")
    if not _NUMBER_SPEC.match(spec):
        raise MessageError(f"{{{name}:{spec}}}: the format is one of e, f, g, % with a precision", "such as .3g")


def show(value: FactValue | None, spec: str = "") -> str:
    """One value as text: whole numbers without a point, others with four significant digits unless `spec` says."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(show(item, spec) for item in value)
    if spec:
        return format(value, spec)
    return f"{value:.0f}" if value == value and abs(value) < 1e15 and value == int(value) else f"{value:.4g}"
