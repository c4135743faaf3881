"""Many targets at once: the options of a sweep, and what it says on stderr while it goes on."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli.main import Session
from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from initadvisor.cli.runs import Checkers, Run
    from initadvisor.report import Report
    from initadvisor.sweep.job import Done, Engine, Job, Kind
    from initadvisor.sweep.store import SweepFile

_OPTIONS = (
    click.option(
        "--engine",
        type=click.Choice(("local", "ray")),
        help="Run targets in processes of their own: here, or on a Ray cluster.  [default: one by one, in this one]",
    ),
    click.option(
        "--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Targets at a time.  [default: the cores]"
    ),
    click.option(
        "--resume",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE.jsonl",
        help="Keep each finished report here, and do again only what is not in it or has changed.",
    ),
    click.option(
        "--retries",
        type=click.IntRange(min=0),
        default=2,
        show_default=True,
        help="Further attempts at a target whose process died.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0.0, min_open=True),
        metavar="SECONDS",
        help="End a target's process and go on to the next after this long.  [default: never]",
    ),
    click.option("--ray-address", metavar="ADDRESS", help="A Ray cluster that runs.  [default: one of its own, here]"),
    click.option(
        "--gpus-per-job", type=click.FloatRange(min=0.0), metavar="N", help="GPUs of each process; 0.5 shares one."
    ),
)


def sweep_options(function: Any) -> Any:
    """How many targets run at a time, and where."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def wanted(options: Mapping[str, Any]) -> bool:
    """Whether targets are to run in processes of their own."""
    if options["engine"] != "ray" and options["ray_address"]:
        raise UsageError("--ray-address is for --engine ray")
    names = ("engine", "jobs", "resume", "timeout", "gpus_per_job")
    return any(options[name] is not None for name in names)


@dataclass(frozen=True, slots=True)
class Plan:
    """What every job of a sweep has in common."""

    kind: Kind
    details: bool
    explain: str | None = None
    probe: Mapping[str, Any] | None = None


def swept(
    runs: Sequence[Run], checkers: Checkers, plan: Plan, options: Mapping[str, Any], session: Session
) -> list[Report]:
    """The reports of all runs, in their order; a line a target on stderr as they come.

    Raises UsageError where the engine or the file cannot be used.
    """
    from initadvisor.sweep.job import Job
    from initadvisor.sweep.run import sweep

    folder = os.getcwd()
    jobs = [
        Job(
            number=number,
            target=run.target,
            kind=plan.kind,
            settings=run.checked,
            digest=checkers.of(run).settings_digest,
            folder=folder,
            probe=dict(plan.probe or {}),
            explain=plan.explain,
            details=plan.details,
        )
        for number, run in enumerate(runs)
    ]
    with _opened(options["resume"]) as file:
        teller = _Teller(len(jobs), quiet=options["quiet"], debug=session.debug)
        try:
            # Ray prints what happens to its workers; stdout is for data.
            with contextlib.redirect_stdout(sys.stderr):
                return sweep(jobs, engine_of(options), file, teller)
        except KeyboardInterrupt:
            where = "; the same command goes on from there" if file is not None else "; --resume would have kept them"
            click.echo(f"interrupted: {teller.done} of {len(jobs)} are done{where}", err=True)
            raise


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[SweepFile | None]:
    if path is None:
        yield None
        return
    from initadvisor.sweep.store import SweepFile

    with SweepFile(path) as file:
        yield file


def engine_of(options: Mapping[str, Any]) -> Engine:
    """The engine that the options name; raises UsageError or MissingExtraError."""
    seconds = options["timeout"] or math.inf
    jobs, retries, gpus = options["jobs"], options["retries"], options["gpus_per_job"]
    if gpus is None:
        # A worker sees no GPU but those that it declares.
        gpus = 1.0 if str(options.get("device")).startswith("cuda") else 0.0
    if options["engine"] == "ray":
        from initadvisor.sweep.cluster import ray_module
        from initadvisor.sweep.ray_engine import RayEngine

        ray_module()
        return RayEngine(jobs, retries, seconds=seconds, address=options["ray_address"], gpus=gpus)
    from initadvisor.sweep.local import LocalEngine

    return LocalEngine(jobs or cores(), retries, seconds=seconds, gpus=gpus)


def cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


@dataclass
class _Teller:
    """Says in one line each how targets ended."""

    total: int
    quiet: bool
    debug: bool
    done: int = 0

    def __call__(self, job: Job, report: Report, done: Done | None) -> None:
        from initadvisor.report.escape import visible

        self.done += 1
        if done is not None and done.outcome.trace and self.debug:
            for line in done.outcome.trace.splitlines():
                click.echo(visible(line), err=True)
        name = visible(job.target, 100)
        if report.error is not None:
            click.echo(f"error: {visible(report.error.message)}", err=True)
        if not self.quiet:
            click.echo(f"[{self.done}/{self.total}] {name}: {said(report)}{_how(done)}", err=True)


def said(report: Report) -> str:
    """What came of a target, in a few words."""
    if report.verdict == "not_checked":
        return "not checked"
    counts = [(getattr(report.summary, kind), kind) for kind in ("error", "warning", "info")]
    parts = [f"{number} {kind}{'s' if number > 1 and kind != 'info' else ''}" for number, kind in counts if number]
    return ", ".join(parts) or "clean"


def _how(done: Done | None) -> str:
    if done is None:
        return " (done before)"
    again = f", attempt {done.attempts}" if done.attempts > 1 else ""
    return f" ({done.outcome.seconds:.1f} s{again})"
