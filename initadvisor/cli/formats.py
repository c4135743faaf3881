"""Which formats a report is printed in, and where each goes: `--output-format sarif:out.sarif`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli import complete
from initadvisor.cli.language import lang_option, language_for
from initadvisor.cli.output import append, write
from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from initadvisor.cli.runs import Checkers
    from initadvisor.report import Report
    from initadvisor.rules.rule import Severity

FORMATS = ("full", "concise", "json", "jsonl", "sarif", "junit", "github", "gitlab", "markdown", "html")
FOR_PEOPLE = ("full", "concise")

MAX_STEP_SUMMARY = 1 << 20
"""Bytes that GitHub accepts as the summary of a step."""


@dataclass(frozen=True, slots=True)
class Output:
    """A format and the file it goes to; None for stdout."""

    name: str
    file: Path | None = None


class OutputType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """`FORMAT` or `FORMAT:FILE`."""

    name = "format"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Output:
        """Split at the first colon; fails for a format that does not exist."""
        if isinstance(value, Output):
            return value
        name, _, file = str(value).partition(":")
        if name not in FORMATS:
            from initadvisor.rules.suggest import did_you_mean

            self.fail(f"{name!r} is not a format. {did_you_mean(name, FORMATS) or 'It is one of'} {self._all()}", param)
        return Output(name, Path(file) if file else None)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """How the help shows the value."""
        return "FORMAT[:FILE]"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names of the formats."""
        return complete.choices(FORMATS, incomplete)

    @staticmethod
    def _all() -> str:
        return f"({', '.join(FORMATS)})"


_REPORT = (
    click.option(
        "--output-format",
        "outputs",
        type=OutputType(),
        multiple=True,
        help=f"{', '.join(FORMATS)}; several, each to its own file, such as sarif:out.sarif.  [default: full]",
    ),
    click.option(
        "--output-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the report here, not to stdout."
    ),
    click.option(
        "--fail-on",
        type=click.Choice(("error", "warning", "info")),
        help="Exit with 1 from this severity on.  [default: error]",
    ),
    click.option(
        "--exit-zero",
        is_flag=True,
        help="Exit with 0 even with findings; what could not be checked still exits with 2.",
    ),
    click.option("--strict", is_flag=True, help="Exit with 2 where a selected rule could not be evaluated."),
    lang_option,
)


def report_options(function: Any) -> Any:
    """How a report is written, and what makes the exit code."""
    for option in reversed(_REPORT):
        function = option(function)
    return function


def outputs_of(given: Sequence[Output], file: Path | None) -> list[Output]:
    """The outputs that were asked for, "full" to stdout if none; raises UsageError where two want the same place."""
    wanted = list(given) or [Output("full")]
    if file is not None:
        without = [output for output in wanted if output.file is None]
        if len(without) != 1:
            raise UsageError("--output-file is for one format", hint="write --output-format FORMAT:FILE for each")
        wanted = [Output(o.name, file) if o.file is None else o for o in wanted]
    places = [output.file for output in wanted]
    for place in places:
        if places.count(place) > 1:
            where = "stdout" if place is None else str(place)
            raise UsageError(f"two formats go to {where}", hint="write --output-format FORMAT:FILE for each")
    return wanted


def wants_details(outputs: Sequence[Output]) -> bool:
    """Whether an output shows what is measured for pictures alone."""
    return any(output.name == "html" for output in outputs)


def print_reports(
    reports: Sequence[Report], checker: Checkers, outputs: Sequence[Output], fail_on: Sequence[Severity], quiet: bool
) -> None:
    """Write every output; the one for stdout last, so that a closed pipe costs no file.

    fail_on: for each report, from which severity on it fails.
    """
    for output in sorted(outputs, key=lambda output: output.file is None):
        _print(list(reports), checker, output, fail_on, quiet)
        if output.name == "github":
            _step_summary(reports, checker)


def _print(reports: list[Report], checker: Checkers, output: Output, fail_on: Sequence[Severity], quiet: bool) -> None:
    from initadvisor.report import render
    from initadvisor.report.curve import BLOCKS
    from initadvisor.report.terminal import columns, holds, wants_color

    file = output.file
    if output.name == "sarif" and os.environ.get("GITHUB_ACTIONS") == "true":
        # Code scanning does not read `suppressions` and would open an alert for each of these.
        reports = [report.model_copy(update={"suppressed": ()}) for report in reports]
    if output.name in FOR_PEOPLE:
        if file is None:
            # stderr has already said, in one line each, what could not be checked.
            reports = [report for report in reports if report.verdict != "not_checked"]
        if quiet:
            reports = [report for report in reports if report.verdict != "clean" or report.explanation is not None]
        if not reports and file is None:
            return
    text = render(
        reports,
        output.name,  # type: ignore[arg-type]
        columns=columns(sys.stdout),
        color=file is None and wants_color(sys.stdout),
        why=checker.reasons(),
        blocks=file is not None or holds(sys.stdout, BLOCKS),
        rules={rule.id: rule for rule in checker.rules},
        fail_on=fail_on,
        language=language_for(output.name),
    )
    write(text, file)


def _step_summary(reports: Sequence[Report], checker: Checkers) -> None:
    """What GitHub shows below the log of a step, where it says which file that is."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    from initadvisor.report.markdown import as_summary

    path = Path(file)
    room = MAX_STEP_SUMMARY - (path.stat().st_size if path.is_file() else 0)
    append(as_summary(reports, checker.reasons(), room), path)
