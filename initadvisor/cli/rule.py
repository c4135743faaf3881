"""`initadvisor rule`: the list of rules, their pages, their tests, and a start for a new one."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli import complete
from initadvisor.cli.language import configured, lang_option, language_for
from initadvisor.cli.main import EXIT_FINDINGS, EXIT_OK, debug_option
from initadvisor.cli.output import write
from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from initadvisor.rules import Rule, RuleSet


class _RuleGroup(click.Group):
    """`rule IA101` shows a page; `rule test` and `rule new` are commands."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            return "show", self.commands["show"], args
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The rules, and the commands about them."""
        return [*complete.rules(ctx, None, incomplete), *super().shell_complete(ctx, incomplete)]


_rules_dir = click.option(
    "--rules-dir",
    "rules_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Read more rules from this folder.",
)
_page_format = click.option(
    "--output-format", type=click.Choice(("text", "markdown")), default="text", show_default=True
)


@click.group(cls=_RuleGroup, invoke_without_command=True, subcommand_metavar="[ID | test PATH | new ID NAME | facts]")
@click.option("--all", "everything", is_flag=True, help="Show every page.")
@_rules_dir
@_page_format
@lang_option
@debug_option
@click.pass_context
def rule(ctx: click.Context, everything: bool, rules_dirs: tuple[Path, ...], output_format: str) -> None:
    """List the rules, or show the page of one: `rule IA101`."""
    if ctx.invoked_subcommand is not None:
        return
    known = _known(rules_dirs)
    if everything:
        write(_pages(list(known), output_format))
    else:
        write(_table(known))


@rule.command(hidden=True)
@click.argument("names", nargs=-1, required=True, metavar="ID...", shell_complete=complete.rules)
@_rules_dir
@_page_format
@lang_option
@debug_option
@click.pass_context
def show(ctx: click.Context, names: tuple[str, ...], rules_dirs: tuple[Path, ...], output_format: str) -> None:
    """Show the page of a rule."""
    above: dict[str, Any] = ctx.parent.params if ctx.parent else {}
    known = _known((*above.get("rules_dirs", ()), *rules_dirs))
    if output_format == "text":
        output_format = above.get("output_format", output_format)
    write(_pages([known.find(name) for name in names], output_format))


@rule.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@debug_option
def test(paths: tuple[Path, ...]) -> int:
    """Run the examples of rule files. This RUNS THE CODE in them: only for files that you trust."""
    from initadvisor.engine.rule_tests import load_rules, run_all

    outcomes = run_all(*load_rules(paths))
    bad = 0
    for outcome in outcomes:
        bad += bool(outcome.problem)
        place = f"{outcome.rule.path}:{outcome.example.line}"
        write(
            f"FAILED {outcome.label}: {outcome.problem} ({place})\n" if outcome.problem else f"ok     {outcome.label}\n"
        )
    write(f"{len(outcomes)} examples, {bad} failed\n")
    return EXIT_FINDINGS if bad else EXIT_OK


@rule.command()
@click.argument("rule_id", metavar="ID")
@click.argument("name", metavar="NAME")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("rules"), show_default=True)
@debug_option
def new(rule_id: str, name: str, folder: Path) -> None:
    """Write a rule file to start from, such as `rule new ACME001 head-too-large`."""
    from initadvisor import __version__
    from initadvisor.rules.scaffold import new_rule

    since = ".".join(__version__.split(".")[:2])
    known = _known(())
    if rule_id in known.rules:
        raise UsageError(f"{rule_id} is taken by {known.rules[rule_id].where()}")
    taken = next((entry for entry in known if entry.name == name), None)
    if taken is not None:
        raise UsageError(f'"{name}" is taken by {taken.where()}')
    path = new_rule(rule_id, name, folder, since)
    write(f"{path}\n")


@rule.command()
@click.option("--output-file", type=click.Path(dir_okay=False, path_type=Path), help="Write here, not to stdout.")
@debug_option
def facts(output_file: Path | None) -> None:
    """List the facts that rules may name, as Markdown."""
    from initadvisor.engine.look import vocabulary
    from initadvisor.rules.facts_page import facts_page

    write(facts_page(vocabulary()), output_file)


def _known(folders: tuple[Path, ...]) -> RuleSet:
    from initadvisor import config
    from initadvisor.rules import discover

    found = config.find(Path.cwd())
    configured(found.lang)
    return discover((*found.rules_dirs, *folders))


def _pages(rules: list[Rule], output_format: str) -> str:
    if output_format == "markdown":
        return "\n".join(rule.text for rule in rules)
    from initadvisor.report.pages import as_pages
    from initadvisor.report.terminal import columns, wants_color

    return as_pages([_readable(rule) for rule in rules], columns=columns(sys.stdout), color=wants_color(sys.stdout))


def _readable(rule: Rule) -> str:
    """The page without the words in other languages, those of this run's language below its heading."""
    from initadvisor.report.translation import translation_of

    text = _TRANSLATION.sub("```", rule.text, count=1)
    words = translation_of(rule, language_for("full"))
    if words is None:
        return text
    heading, _, rest = text.partition("\n")
    return f"{heading}\n\n**{words.title}**: {words.why} {words.hint}\n{rest}"


_TRANSLATION = re.compile(r"\n\[ja\]\n.*?```", re.DOTALL)


def _table(known: RuleSet) -> str:
    from initadvisor.report.escape import visible
    from initadvisor.report.translation import translation_of

    language = language_for("full")
    lines = []
    for entry in known:
        severity = "" if entry.status == "removed" else entry.active.severity
        status = "" if entry.status == "stable" else f"  ({entry.status})"
        words = translation_of(entry, language)
        title = f"  {visible(words.title)}" if words else ""
        lines.append(f"{entry.id:<8} {severity:<8} {visible(entry.category):<14} {entry.name}{title}{status}\n")
    return "".join(lines)
