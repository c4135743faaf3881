"""What a sweep is made of: one job a target, what a worker gives back, and what is said of a job whose worker died."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from initadvisor.engine import CheckSettings

Kind = Literal["check", "probe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One target and everything that decides what its report says. Workers get it pickled.

    number: its place in the sweep. digest: of the settings, as reports carry it. probe: arguments of `make_prober`.
    explain, details: as `Checker.check` takes them. folder: where relative paths and modules are looked for.
    """

    number: int
    target: str
    kind: Kind
    settings: CheckSettings
    digest: str
    folder: str
    probe: Mapping[str, Any] = field(default_factory=dict)
    explain: str | None = None
    details: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a worker gives back. report: as JSON. trace: of an error that nobody meant. seconds: of wall clock."""

    report: str
    seconds: float = 0.0
    trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A job that has ended, with a report in any case. attempts: how often it was started."""

    number: int
    outcome: Outcome
    attempts: int = 1


class Engine(Protocol):
    """What runs jobs: gives each of them back exactly once, in the order in which they end.

    A worker that dies costs its own job an attempt, and no other job anything.
    """

    def run(self, jobs: Sequence[Job]) -> Generator[Done, None, None]:
        """Run the jobs; closing the iterator ends the workers."""
        ...


@dataclass(slots=True)
class Attempt:
    """A job that is started for the n-th time. deadline: on the monotonic clock; late: it was ended for passing it."""

    job: Job
    number: int = 1
    deadline: float = math.inf
    late: bool = False


LOOK_SECONDS = 1.0
"""How often an engine looks at jobs that say nothing: their time may be over, or their worker gone without a word."""

_LOST = "out of memory, or a crash in native code: fewer --jobs leave each of them more memory"
_LATE = "--timeout gives each target longer"


def given_up(attempt: Attempt, why: str) -> Done:
    """The end of a job whose worker died once too often, or took too long; `why` says what happened."""
    from initadvisor.engine.results import report_of_failure
    from initadvisor.errors import WorkerLostError

    times = "once" if attempt.number == 1 else f"{attempt.number} times"
    why = "it was not done in time and was ended" if attempt.late else why
    error = WorkerLostError(f"{attempt.job.target}: tried {times}, and {why}", hint=_LATE if attempt.late else _LOST)
    report = report_of_failure(attempt.job.target, error, attempt.job.digest)
    return Done(number=attempt.job.number, outcome=Outcome(report=report.model_dump_json()), attempts=attempt.number)
