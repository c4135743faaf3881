"""A sweep: what is done already is taken from the file, the rest is run, and every job gives one report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from initadvisor.sweep.identity import identity
from initadvisor.sweep.job import Done, Engine, Job
from initadvisor.sweep.store import SweepFile

if TYPE_CHECKING:
    from initadvisor.report import Report

Tell = Callable[[Job, "Report", Done | None], None]
"""Called as reports come: with the job, its report, and how it ended; None for one that was done before."""


def sweep(jobs: Sequence[Job], engine: Engine, file: SweepFile | None = None, tell: Tell | None = None) -> list[Report]:
    """The reports of all jobs, in the order of the jobs. Jobs are numbered from 0.

    file: where finished reports are kept, and looked for first. Raises what the engine raises.
    """
    from initadvisor.report import Report

    keys = [identity(job) for job in jobs] if file is not None else []
    reports: dict[int, Report] = {}
    for job in jobs:
        stored = file.report(keys[job.number]) if file is not None else None
        if stored is not None:
            reports[job.number] = Report.model_validate_json(stored)
            if tell is not None:
                tell(job, reports[job.number], None)
    left = [job for job in jobs if job.number not in reports]
    if not left:
        return [reports[job.number] for job in jobs]
    # Closed at once where something goes wrong here, so that workers end before anything else is said.
    with contextlib.closing(engine.run(left)) as running:
        for done in running:
            job = jobs[done.number]
            if file is not None:
                more = {"seconds": round(done.outcome.seconds, 3), "attempts": done.attempts}
                file.add(keys[job.number], job.target, done.outcome.report, **more)
            reports[job.number] = Report.model_validate_json(done.outcome.report)
            if tell is not None:
                tell(job, reports[job.number], done)
    return [reports[job.number] for job in jobs]
