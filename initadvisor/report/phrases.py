"""The words of reports for people in other languages: a catalogue a language, English as the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, get_args

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


class Say(Protocol):
    """Puts a phrase into the language of a report and fills in its values."""

    def __call__(self, phrase: str, /, **values: object) -> str:
        """The phrase with every "{name}" replaced."""
        ...


def english(phrase: str, /, **values: object) -> str:
    """The phrase as it is written in the code."""
    return phrase.format_map(values) if values else phrase


def speaker(language: Language) -> Say:
    """What says phrases in a language; a phrase that its catalogue lacks stays English."""
    if language == "en":
        return english
    from initadvisor.report.japanese import PHRASES

    catalogue: Mapping[str, str] = PHRASES

    def say(phrase: str, /, **values: object) -> str:
        return english(catalogue.get(phrase, phrase), **values)

    return say
