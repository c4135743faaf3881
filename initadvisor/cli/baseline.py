"""`initadvisor baseline`: the file of findings that a project starts from, made, brought up to date, thinned out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli import complete
from initadvisor.cli.check import check_one
from initadvisor.cli.main import EXIT_NOT_CHECKED, EXIT_OK, Session, debug_option
from initadvisor.cli.options import configuration_of, reading_options, rule_options
from initadvisor.cli.output import write
from initadvisor.cli.runs import Checkers, Run, runs_of
from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from initadvisor.config import Config
    from initadvisor.report import Report
    from initadvisor.rules import Finding
    from initadvisor.rules.baseline import Baseline, Entry


@click.group()
@debug_option
def baseline() -> None:
    """Keep a file of the findings that are known already, so that `check` fails on new ones only.

    The file names rules, layers and targets: no numbers and no versions, so that training and upgrades leave it as it
    is. Without a TARGET, all targets of the configuration are checked.
    """


def _common(function: Any) -> Any:
    file = click.option(
        "--baseline",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The file.  [default: that of the configuration, else initadvisor-baseline.json]",
    )
    quiet = click.option("--quiet", "-q", is_flag=True, help="No progress, and nothing about what was written.")
    for option in (
        quiet,
        reading_options,
        rule_options,
        file,
        click.argument("targets", nargs=-1, metavar="TARGET...", shell_complete=complete.targets),
    ):
        function = option(function)
    return click.pass_context(debug_option(function))


@baseline.command()
@_common
@click.option("--force", is_flag=True, help="Replace the file where there is one.")
def create(ctx: click.Context, /, targets: tuple[str, ...], force: bool, **options: Any) -> int:
    """Write down everything that is found now."""
    from initadvisor.rules.baseline import baseline_of

    config, file = _place(options)
    if file.exists() and not force:
        raise UsageError(
            f"{file} exists", hint='"initadvisor baseline update" brings it up to date, --force replaces it'
        )
    seen = _look(ctx, config, file, targets, options)
    if seen is None:
        return EXIT_NOT_CHECKED
    made = baseline_of(seen.found)
    return _save(made, file, f"{_findings(len(made.entries))} of {_targets(len(seen.found))}", options)


@baseline.command()
@_common
def update(ctx: click.Context, /, targets: tuple[str, ...], **options: Any) -> int:
    """Add what is new to the file, and drop what is gone."""
    return _change(ctx, targets, options, lambda old, seen: old.updated(seen.found, seen.judged))


@baseline.command()
@_common
def prune(ctx: click.Context, /, targets: tuple[str, ...], **options: Any) -> int:
    """Drop from the file what is gone, and add nothing."""
    return _change(ctx, targets, options, lambda old, seen: old.pruned(seen.found, seen.judged))


@dataclass(frozen=True, slots=True)
class _Seen:
    """The reports of a run by the target's key in the file, with the rules that ran on each."""

    reports: dict[str, Report]
    rules: dict[str, frozenset[str]]

    @property
    def found(self) -> dict[str, tuple[Finding, ...]]:
        return {key: report.findings for key, report in self.reports.items()}

    def judged(self, entry: Entry) -> bool:
        """Whether the rule of an entry ran on its target and gave an answer on its subject."""
        if entry.rule not in self.rules[entry.target]:
            return False
        silent = (row.subject for row in self.reports[entry.target].not_evaluated if row.rule == entry.rule)
        return not any((subject.name or subject.tensor or "") in ("", entry.subject) for subject in silent)


def _change(
    ctx: click.Context, targets: tuple[str, ...], options: dict[str, Any], change: Callable[[Baseline, _Seen], Baseline]
) -> int:
    from initadvisor.rules.baseline import read_baseline

    config, file = _place(options)
    old = read_baseline(file)
    seen = _look(ctx, config, file, targets, options)
    if seen is None:
        return EXIT_NOT_CHECKED
    new = change(old, seen)
    added, dropped = len(new.entries.keys() - old.entries.keys()), len(old.entries.keys() - new.entries.keys())
    others = {entry.target for entry in new.entries.values()} - seen.found.keys()
    unknown = f"; {_targets(len(others))} in it not checked" if others else ""
    return _save(new, file, f"{_findings(len(new.entries))}: {added} added, {dropped} dropped{unknown}", options)


def _place(options: dict[str, Any]) -> tuple[Config, Path]:
    from initadvisor.rules.baseline import FILE_NAME

    config = configuration_of(options)
    folder = config.path.parent if config.path else Path()
    file: Path = options["baseline"] or config.baseline or folder / FILE_NAME
    here = Path.cwd()
    return config, file.relative_to(here) if file.is_relative_to(here) else file


def _look(
    ctx: click.Context, config: Config, file: Path, targets: Sequence[str], options: dict[str, Any]
) -> _Seen | None:
    """Check the targets; None where one of them could not be: the file then stays as it is."""
    session: Session = ctx.obj if isinstance(ctx.obj, Session) else Session()
    runs: list[Run] = runs_of(config, targets, {**options, "baseline": None}, "initadvisor baseline create model.onnx")
    checkers = Checkers()
    prepared = [(checkers.of(run), run) for run in runs]
    reports = {run.key(file): check_one(checker, run.target, options, session) for checker, run in prepared}
    if any(report.verdict == "not_checked" for report in reports.values()):
        click.echo(f"error: {file} was left as it is, as not every target could be checked", err=True)
        return None
    return _Seen(reports, {run.key(file): frozenset(rule.id for rule in checker.rules) for checker, run in prepared})


def _save(made: Baseline, file: Path, said: str, options: dict[str, Any]) -> int:
    from initadvisor.report.escape import visible

    write(made.as_text(), file)
    if not options["quiet"]:
        write(f"{visible(str(file))}: {said}\n")
    return EXIT_OK


def _findings(count: int) -> str:
    return f"{count} finding{'s' if count != 1 else ''}"


def _targets(count: int) -> str:
    return f"{count} target{'s' if count != 1 else ''}"
