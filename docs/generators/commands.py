"""The page of the command line."""

from __future__ import annotations

from collections.abc import Iterator

import click

from initadvisor.cli.main import LazyGroup, cli

from .cells import cell


def cli_page() -> str:
    """Every command with its usage, its help and its options, asked of the commands themselves."""
    lines = ["# Command line", "", "```text", *_help_text(cli, "initadvisor"), "```"]
    for path, command in commands(cli, "initadvisor"):
        lines += ["", f"## {path}", "", f"`{_usage(command, path)}`", "", *_prose(command)]
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        rows = [_option(option, path) for option in options]
        if rows:
            lines += ["", "| option | |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below a group with what is typed for it, in the order of the help."""
    ctx = click.Context(group, info_name=path)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command is None or command.hidden:
            continue
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def _context(command: click.Command, path: str) -> click.Context:
    return click.Context(command, info_name=path, terminal_width=100, max_content_width=100)


def _usage(command: click.Command, path: str) -> str:
    return command.get_usage(_context(command, path)).removeprefix("Usage: ").replace("\n", " ")


def _help_text(command: LazyGroup, path: str) -> list[str]:
    return command.get_help(_context(command, path)).splitlines()


def _prose(command: click.Command) -> list[str]:
    lines: list[str] = []
    for paragraph in (command.help or "").strip().split("\n\n"):
        plain = paragraph.lstrip()
        if plain.startswith("\b"):
            lines += ["```text", *(line.strip() for line in plain.splitlines()[1:]), "```", ""]
        else:
            lines += [" ".join(cell(plain).split()), ""]
    return lines[:-1]


def _option(option: click.Option, path: str) -> str:
    record = option.get_help_record(_context(click.Command("x"), path))
    names, text = record if record else (", ".join(option.opts), "")
    return f"| `{cell(names)}` | {cell(text)} |"
