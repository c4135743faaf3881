"""What an initialization is called on the command line: `he`, `orthogonal:gain=1.4`, `recommended`, `lsuv`, `as-is`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from initadvisor.errors import InitAdvisorError, UsageError
from initadvisor.initializers import InitSpec

Kind = Literal["as_is", "recommended", "lsuv", "drawn"]

SHORT = {
    "he": "kaiming_normal",
    "kaiming": "kaiming_normal",
    "xavier": "xavier_normal",
    "glorot": "xavier_normal",
    "lecun": "lecun_normal",
}
"""What the field says for a method; the draw is normal, as the papers have it."""

OWN: dict[str, Kind] = {"as-is": "as_is", "default": "as_is", "recommended": "recommended", "lsuv": "lsuv"}

DEFAULT = ("default", "xavier", "he", "recommended")


@dataclass(frozen=True, slots=True)
class Init:
    """One initialization to compare. name: as the user wrote it; spec: how weights are drawn where it is a method."""

    name: str
    kind: Kind
    spec: InitSpec | None = None

    def describe(self) -> str:
        """What is done, in a few words."""
        if self.spec is not None:
            return self.spec.describe()
        return {
            "as_is": "as the model's own code draws it",
            "recommended": "what initadvisor advises for each layer",
            "lsuv": "layer-sequential unit variance",
        }[self.kind]


def parse_inits(given: str | Iterable[str | Init]) -> tuple[Init, ...]:
    """The initializations of "xavier,he,orthogonal:gain=1.4", or of a list; raises UsageError for what is none."""
    words = (
        _split(given)
        if isinstance(given, str)
        else [w for g in given for w in ([g] if isinstance(g, Init) else _split(g))]
    )
    found = tuple(word if isinstance(word, Init) else _parse(word) for word in words)
    if not found:
        raise UsageError("no initialization was named", hint="such as --inits xavier,he,orthogonal")
    names = [init.name for init in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f'the initialization "{twice}" is named twice')
    return found


def _split(text: str) -> list[str]:
    """At commas; a part that only sets a parameter belongs to the name before it: "orthogonal:gain=2,centred=true"."""
    words: list[str] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        if words and "=" in part and ":" not in part:
            words[-1] += f",{part}"
        else:
            words.append(part)
    return words


def _parse(word: str) -> Init:
    name, _, rest = word.partition(":")
    if name in OWN:
        if rest:
            raise UsageError(f'the initialization "{name}" takes no parameters, and "{rest}" was given')
        return Init(word, OWN[name])
    params = dict(_parameter(part, word) for part in rest.split(",") if part)
    try:
        return Init(word, "drawn", InitSpec(SHORT.get(name, name.replace("-", "_")), params))
    except UsageError as error:
        if error.message.startswith("there is no initializer"):
            raise _unknown(name) from error
        raise


def _unknown(name: str) -> InitAdvisorError:
    from initadvisor.initializers.registry import ALIASES, METHODS
    from initadvisor.rules.suggest import did_you_mean

    known = [*OWN, *SHORT, *METHODS, *ALIASES]
    hint = did_you_mean(name, known) or f"there are {', '.join([*OWN, *SHORT, *sorted(METHODS)])}"
    return UsageError(f'there is no initialization "{name}"', hint=hint)


def _parameter(part: str, word: str) -> tuple[str, Any]:
    key, equals, text = part.partition("=")
    if not equals or not key.strip():
        raise UsageError(f'"{part}" in the initialization "{word}" sets no parameter', hint="write orthogonal:gain=1.4")
    try:
        value = json.loads(text)
    except ValueError:
        value = text.strip()
    if not isinstance(value, int | float | bool | str):
        raise UsageError(f'"{part}" in the initialization "{word}" is not a number or a word')
    return key.strip(), value
