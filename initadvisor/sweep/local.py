"""Workers on this machine: spawned processes, each with a pipe, so that one that dies takes nothing with it."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic

from initadvisor.errors import UsageError
from initadvisor.sweep.devices import places, visible
from initadvisor.sweep.job import LOOK_SECONDS, Attempt, Done, Job, Outcome, given_up

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    place: int
    attempt: Attempt | None = None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class LocalEngine:
    """A pool of processes of its own.

    jobs: processes at a time. retries: further attempts at a job whose worker died. seconds: after which a job is
    ended and given up. gpus: of each process, a whole
    number or a part of one; none are seen where it is 0. Raises UsageError where the machine has fewer.
    """

    def __init__(self, jobs: int, retries: int = 2, *, seconds: float = math.inf, gpus: float = 0.0) -> None:
        self._devices = places(gpus, visible() if gpus else ()) if gpus else [""] * jobs
        if not self._devices:
            raise UsageError(f"this machine has fewer than {gpus:g} GPUs", hint="--gpus-per-job is per process")
        self._jobs = min(jobs, len(self._devices))
        self._retries = retries
        self._seconds = seconds
        self._workers: dict[int, _Worker] = {}

    def run(self, jobs: Sequence[Job]) -> Generator[Done, None, None]:
        """As `Engine.run`."""
        queue = deque(Attempt(job) for job in jobs)
        try:
            while queue or any(worker.attempt for worker in self._workers.values()):
                self._fill(queue)
                for worker in self._heard():
                    done = self._end_of(worker, queue)
                    if done is not None:
                        yield done
        finally:
            for worker in self._workers.values():
                worker.end()
            self._workers.clear()

    def _fill(self, queue: deque[Attempt]) -> None:
        for place in range(self._jobs):
            worker = self._workers.get(place)
            if not queue:
                return
            if worker is None:
                worker = self._workers[place] = self._started(place)
            while worker.attempt is None:
                try:
                    worker.pipe.send(queue[0].job)
                except OSError:  # it died between two jobs
                    worker.end()
                    worker = self._workers[place] = self._started(place)
                else:
                    worker.attempt = queue.popleft()
                    worker.attempt.deadline = monotonic() + self._seconds

    def _started(self, place: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._devices[place]), name=f"initadvisor worker {place}")
        process.start()
        theirs.close()
        return _Worker(process, mine, place)

    def _heard(self) -> list[_Worker]:
        """The workers that have something to say, or died, or were ended for being late."""
        busy = [worker for worker in self._workers.values() if worker.attempt is not None]
        ready = wait([worker.pipe for worker in busy], LOOK_SECONDS)
        for worker in busy:
            assert worker.attempt is not None
            if worker.pipe not in ready and monotonic() > worker.attempt.deadline:
                worker.attempt.late = True
                worker.process.kill()
                worker.process.join()
        # What a worker has started may hold its pipe open after its end.
        return [worker for worker in busy if worker.pipe in ready or not worker.process.is_alive()]

    def _end_of(self, worker: _Worker, queue: deque[Attempt]) -> Done | None:
        attempt, worker.attempt = worker.attempt, None
        assert attempt is not None
        try:
            if not worker.pipe.poll():
                raise EOFError
            outcome: Outcome = worker.pipe.recv()
        except (EOFError, OSError):
            worker.end()
            del self._workers[worker.place]
            if attempt.number <= self._retries and not attempt.late:
                queue.append(Attempt(attempt.job, attempt.number + 1))
                return None
            return given_up(attempt, f"its worker process {_how(worker.process.exitcode)}")
        return Done(number=attempt.job.number, outcome=outcome, attempts=attempt.number)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with exit code {code}"


def serve(pipe: Connection, device: str) -> None:
    """The life of a worker: jobs in, outcomes out, until the pipe is closed. device: the GPUs that it sees."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    # There are as many workers as there are cores to use; numerical libraries read this when they are imported.
    for name in THREADS:
        os.environ.setdefault(name, "1")
    os.environ["CUDA_VISIBLE_DEVICES"] = device
    os.dup2(2, 1)  # stdout is for data, and that is the parent's
    from initadvisor.sweep.perform import perform

    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(perform(pipe.recv()))
