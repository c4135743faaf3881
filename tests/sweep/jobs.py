"""Jobs over small ONNX files, one that kills whatever process reads it, and an engine that needs no process."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from initadvisor.engine import Checker, CheckSettings
from initadvisor.report import Report
from initadvisor.sweep.job import Done, Job
from initadvisor.sweep.perform import perform


class Deadly:
    """Ends the process that unpickles it, as a fault in native code would."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


class Holding:
    """Holds up the process that unpickles it until a file is there; writes down its id before."""

    def __init__(self, pids: Path, release: Path) -> None:
        self._code = f"""
import os, time
with open({str(pids)!r}, "a") as file:
    file.write(str(os.getpid()) + chr(10))
while not os.path.exists({str(release)!r}):
    time.sleep(0.01)
"""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self._code,)


def jobs_for(folder: Path, *targets: str, **settings: Any) -> list[Job]:
    """A job for each target, numbered."""
    chosen = CheckSettings(**settings)
    digest = Checker(chosen).settings_digest
    return [
        Job(number=number, target=target, kind="check", settings=chosen, digest=digest, folder=str(folder))
        for number, target in enumerate(targets)
    ]


def burdened(job: Job, burden: Deadly | Holding) -> Job:
    """The same job, with something in it that a worker finds when it takes the job up."""
    return replace(job, probe={"burden": burden})


class OneByOne:
    """The contract of an engine, kept in this process; remembers what it was asked for."""

    def __init__(self, stop_after: int = 1 << 30) -> None:
        self.targets: list[str] = []
        self._stop_after = stop_after

    def run(self, jobs: Sequence[Job]) -> Generator[Done, None, None]:
        for job in jobs:
            if len(self.targets) == self._stop_after:
                raise KeyboardInterrupt
            self.targets.append(job.target)
            yield Done(number=job.number, outcome=perform(job))


def alone(job: Job) -> Report:
    """The report of a check in this process."""
    return Report.model_validate_json(perform(job).report)
