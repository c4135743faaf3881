"""Workers on a Ray cluster: one Ray task a job, on processes that Ray keeps warm from one task to the next."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Generator, Sequence
from time import monotonic
from typing import Any

from initadvisor.errors import UsageError
from initadvisor.sweep.cluster import connected
from initadvisor.sweep.job import LOOK_SECONDS, Attempt, Done, Job, Outcome, given_up
from initadvisor.sweep.perform import perform


class RayEngine:
    """A core a job, and the GPUs that it declares.

    jobs: at a time; None for as many as the cluster has cores for. retries: further attempts at a job whose worker or
    node died. seconds: after which a job is ended and given up. address: see `connected`. gpus: of each job, a whole
    number or a part of one.
    """

    def __init__(
        self,
        jobs: int | None = None,
        retries: int = 2,
        *,
        seconds: float = math.inf,
        address: str | None = None,
        gpus: float = 0.0,
    ) -> None:
        self._jobs = jobs
        self._retries = retries
        self._seconds = seconds
        self._address = address
        self._gpus = gpus

    def run(self, jobs: Sequence[Job]) -> Generator[Done, None, None]:
        """As `Engine.run`; raises UsageError where the cluster cannot be used or has no such GPUs."""
        with connected(self._address, self._jobs) as ray:
            width = self._width(ray.cluster_resources())
            # Ray's own retries are off: they would neither be counted nor end.
            start = ray.remote(num_cpus=1, num_gpus=self._gpus, max_retries=0)(perform).remote
            queue = deque(Attempt(job) for job in jobs)
            flying: dict[Any, Attempt] = {}
            try:
                while queue or flying:
                    while queue and len(flying) < width:
                        attempt = queue.popleft()
                        attempt.deadline = monotonic() + self._seconds
                        flying[start(attempt.job)] = attempt
                    landed, aloft = ray.wait(list(flying), num_returns=1, timeout=LOOK_SECONDS)
                    for place in aloft:
                        if monotonic() > flying[place].deadline and not flying[place].late:
                            flying[place].late = True
                            ray.cancel(place, force=True)
                    for place in landed:
                        done = self._end_of(ray, place, flying.pop(place), queue)
                        if done is not None:
                            yield done
            finally:
                for place in flying:
                    with contextlib.suppress(ray.exceptions.RayError):
                        ray.cancel(place, force=True)

    def _width(self, resources: dict[str, float]) -> int:
        cores = max(1, int(resources.get("CPU", 1)))
        if self._gpus and resources.get("GPU", 0.0) < self._gpus:
            raise UsageError(
                f"a job is to have {self._gpus:g} GPUs, and the Ray cluster has {resources.get('GPU', 0.0):g}",
                hint="leave --gpus-per-job out, or add a node that has some",
            )
        by_gpus = math.floor(resources.get("GPU", 0.0) / self._gpus + 1e-9) if self._gpus else cores
        return min(self._jobs or cores, by_gpus)

    def _end_of(self, ray: Any, place: Any, attempt: Attempt, queue: deque[Attempt]) -> Done | None:
        try:
            outcome: Outcome = ray.get(place)
        except ray.exceptions.RayTaskError as error:
            # Whatever a model can bring about is in the report: this is a worker that cannot even begin.
            text = " ".join(str(error.cause or error).split())[:300]
            raise UsageError(
                f"the Ray workers cannot run initadvisor: {text}",
                hint="install the same version of initadvisor, with its extras, on every node",
            ) from error
        except ray.exceptions.RayError as error:
            if attempt.number <= self._retries and not attempt.late:
                queue.append(Attempt(attempt.job, attempt.number + 1))
                return None
            return given_up(attempt, f"its Ray worker was lost ({type(error).__name__})")
        return Done(number=attempt.job.number, outcome=outcome, attempts=attempt.number)
