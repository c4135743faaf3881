"""In which language reports are written: `--lang`, else INITADVISOR_LANG, else the configuration, else English."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from initadvisor.report import Language

LANGUAGES = ("en", "ja")
VARIABLE = "INITADVISOR_LANG"
FOR_MACHINES = ("json", "jsonl", "sarif", "junit", "github", "gitlab")
"""Formats that other programs read: English unless `--lang` itself asks for something else."""

_ASKED, _CONFIGURED = "initadvisor.lang", "initadvisor.lang.configured"


def lang_option(function: Any) -> Any:
    """`--lang`, before or behind the name of the command."""

    def remember(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.meta[_ASKED] = value

    return click.option(
        "--lang",
        type=click.Choice(LANGUAGES),
        expose_value=False,
        callback=remember,
        help=f"Language of titles and messages.  [default: ${VARIABLE}, else en]",
    )(function)


def configured(language: object) -> None:
    """Remember what the configuration file says; anything but a language is as if it said nothing."""
    ctx = click.get_current_context(silent=True)
    if ctx is not None and language in LANGUAGES:
        ctx.meta[_CONFIGURED] = language


def language_for(output_format: str) -> Language:
    """The language of a format in this run; raises UsageError where the environment names one that is not there."""
    ctx = click.get_current_context(silent=True)
    meta: dict[str, Any] = ctx.meta if ctx is not None else {}
    asked: Language | None = meta.get(_ASKED)
    if asked is not None:
        return asked
    if output_format in FOR_MACHINES:
        return "en"
    given = os.environ.get(VARIABLE, "")
    if not given:
        found: Language = meta.get(_CONFIGURED, "en")
        return found
    # ja, ja_JP and ja_JP.UTF-8 are the same language.
    for language in LANGUAGES:
        if given.casefold().replace("-", "_").split("_")[0].split(".")[0] == language:
            return language  # type: ignore[return-value]
    raise UsageError(f'{VARIABLE} is "{given}"', hint=f"it is one of {', '.join(LANGUAGES)}")
