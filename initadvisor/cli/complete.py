"""What completes a value, imported only while a shell asks: options name these, and the work is in `completion`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def rules(ctx: click.Context, parameter: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    """Rules by id, name or category."""
    from initadvisor.cli.completion import rules_of

    return rules_of(ctx, incomplete, categories=parameter is not None and parameter.name != "names")


def targets(ctx: click.Context, parameter: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    """What can be checked."""
    from initadvisor.cli.completion import targets_of

    return targets_of(incomplete)


def choices(names: tuple[str, ...], incomplete: str) -> list[CompletionItem]:
    """Those of a few names that fit."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
