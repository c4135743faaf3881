"""One job, in a worker that stays warm: libraries are imported and rules compiled once, for many targets."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from initadvisor.errors import InitAdvisorError
from initadvisor.sweep.job import Job, Outcome

if TYPE_CHECKING:
    from initadvisor.engine import Checker, CheckSettings
    from initadvisor.engine.prober import Prober
    from initadvisor.report import Report


@dataclass
class _Bench:
    """What this process has at hand. Settings hold mappings, so that they are compared and not hashed."""

    checkers: list[tuple[str, CheckSettings, Checker]] = field(default_factory=list)
    probers: list[tuple[Mapping[str, Any], Checker, Prober]] = field(default_factory=list)

    def checker(self, job: Job) -> Checker:
        from initadvisor.engine import Checker

        for kind, settings, checker in self.checkers:
            if kind == job.kind and settings == job.settings:
                return checker
        like = self.checkers[0][2] if self.checkers else None
        self.checkers.append((job.kind, job.settings, Checker(job.settings, purpose=job.kind, like=like)))
        return self.checkers[-1][2]

    def prober(self, job: Job, checker: Checker) -> Prober:
        from initadvisor.engine.probing import make_prober

        for options, of, prober in self.probers:
            if options == job.probe and of is checker:
                return prober
        self.probers.append((job.probe, checker, make_prober(job.settings, checker=checker, **job.probe)))
        return self.probers[-1][2]


_bench = _Bench()


def perform(job: Job) -> Outcome:
    """Check or probe the target of a job; what cannot be read gives a report that says so."""
    start = perf_counter()
    trace = None
    if os.getcwd() != job.folder and os.path.isdir(job.folder):
        os.chdir(job.folder)
    # What a factory prints belongs to nobody's report.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            report = _look(job)
        except Exception as error:
            from initadvisor.engine.results import report_of_failure

            if not isinstance(error, InitAdvisorError):
                trace = traceback.format_exc()
            report = report_of_failure(job.target, error, job.digest)
    return Outcome(report=report.model_dump_json(), seconds=perf_counter() - start, trace=trace)


def _look(job: Job) -> Report:
    checker = _bench.checker(job)
    if job.kind == "probe":
        return _bench.prober(job, checker).probe(job.target, details=job.details)
    return checker.check(job.target, explain=job.explain, details=job.details)
