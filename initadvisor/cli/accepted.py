"""What a command line says about accepted findings: the options, the baseline, suppressions that cover nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from initadvisor.cli.runs import Run
    from initadvisor.config import Config
    from initadvisor.report import Report
    from initadvisor.rules.baseline import Baseline

baseline_option = click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    help='Count only findings that are not in this file, which "baseline create" wrote.',
)
unused_option = click.option(
    "--fail-on-unused", is_flag=True, help="Exit with 1 where a suppression covers nothing any more."
)


def baselines_of(runs: Sequence[Run]) -> dict[Path, Baseline]:
    """The baseline files of the runs, read before any work is done; raises ConfigError where one cannot be used."""
    from initadvisor.rules.baseline import read_baseline

    files = dict.fromkeys(run.settings.baseline for run in runs)
    return {file: read_baseline(file) for file in files if file is not None}


def without_known(report: Report, run: Run, baselines: dict[Path, Baseline]) -> Report:
    """The report with what the run's baseline holds kept apart."""
    from initadvisor.engine.accepting import baselined

    file = run.settings.baseline
    return report if file is None else baselined(report, baselines[file], run.key(file), file.name)


def warn(reports: Sequence[Report], runs: Sequence[Run], config: Config, options: dict[str, Any]) -> bool:
    """Say on stderr which suppressions are over or cover nothing; whether one covers nothing."""
    from initadvisor.report.escape import MAX_NAME, visible

    unused = _unused(reports, runs, config, options)
    expired = dict.fromkeys(label for report in reports for label in report.expired_suppressions)
    for what, labels in (("expired", expired), ("unused", unused)):
        for label in labels:
            click.echo(f"warning: {what} suppression: {visible(label, 2 * MAX_NAME)}", err=True)
    return bool(unused)


def _unused(reports: Sequence[Report], runs: Sequence[Run], config: Config, options: dict[str, Any]) -> list[str]:
    """Suppressions that covered nothing in any run that they are for.

    Nothing is said of them where rules were chosen for this one run, nor of those for the whole configuration where
    only some of its targets ran.
    """
    if options["select"] or options["ignore"]:
        return []
    whole = {s.label() for s in config.suppress}
    partial = not {target.name for target in config.targets} <= {run.name for run in runs}
    candidates = dict.fromkeys(label for report in reports for label in report.unused_suppressions)
    given = [{s.label() for s in run.settings.suppress} for run in runs]
    found = []
    for label in candidates:
        used = any(label in own and label not in r.unused_suppressions for r, own in zip(reports, given, strict=True))
        if not used and not (partial and label in whole):
            found.append(label)
    return found
