"""From the queue to the workers and back: claims jobs while there is a free place, records how they end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from initadvisor.report.escape import visible
from initadvisor.service.folders import Folders
from initadvisor.service.measures import Measures
from initadvisor.service.settings import ServiceSettings
from initadvisor.service.store.checks import Store
from initadvisor.service.store.outcome import Failure, Outcome
from initadvisor.service.store.tables import Check
from initadvisor.service.workers.job import LOG, OUTCOME, PROGRESS, REPORT
from initadvisor.service.workers.messages import Ended, Job
from initadvisor.service.workers.nurse import Nurse

if TYPE_CHECKING:
    from initadvisor.service.workers.ray_nurse import RayNurse

_log = logging.getLogger("initadvisor.service")

_LOOK_SECONDS = 5.0
"""How often the queue is looked at without a reason to."""
_SMALL = 1 << 20
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""Ends that say nothing about the model: the machine was short of memory, or somebody ended the process."""


@dataclass(slots=True)
class _Running:
    check_id: str
    attempt: int
    folder: Path


class Supervisor:
    """Runs as one task of the server's event loop; whatever waits for the disk or the database does so in a thread."""

    def __init__(self, settings: ServiceSettings, store: Store, folders: Folders, measures: Measures) -> None:
        self._settings = settings
        self._store = store
        self._folders = folders
        self._measures = measures
        self._running: dict[str, _Running] = {}
        self._wake = asyncio.Event()
        self.nurse = self._nurse()

    def _nurse(self) -> Nurse | RayNurse:
        told = (self._settings.rules, self._job_ended, self._jobs_lost)
        if self._settings.engine == "local":
            return Nurse(*told)
        from initadvisor.service.workers.ray_nurse import RayNurse

        return RayNurse(*told, wards=self._settings.workers, home=str(self._settings.data_dir))

    def wake(self) -> None:
        """There is something in the queue. Call it on the event loop."""
        self._wake.set()

    def cancelled(self, check_id: str) -> None:
        """End the worker of a job that the store has as ended."""
        for key, running in self._running.items():
            if running.check_id == check_id:
                self.nurse.kill(key)

    async def run(self) -> None:
        """Until cancelled; the workers end with it."""
        nursing = asyncio.create_task(self.nurse.run())
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _LOOK_SECONDS)
                self._wake.clear()
                try:
                    await self._fill()
                except Exception:
                    _log.exception("the queue could not be read; trying again")
        finally:
            nursing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await nursing
            for running in self._running.values():
                self._store.hand_back(running.check_id, running.attempt)

    async def _fill(self) -> None:
        while self.nurse.ready.is_set() and len(self._running) < self._settings.workers:
            check = await asyncio.to_thread(self._store.claim)
            if check is None:
                return
            await self._start(check)

    async def _start(self, check: Check) -> None:
        key = f"{check.id}.{check.attempt}"
        try:
            folder = await asyncio.to_thread(self._folders.for_attempt, check.id, check.attempt)
            job = self._job(check, key, folder)
        except (OSError, LookupError) as error:
            failure = Failure(kind="NotStarted", message=f"the job could not be started: {error}"[:2000])
            await asyncio.to_thread(self._finish, check.id, check.attempt, Outcome(failure=failure), None)
            return
        self._running[key] = _Running(check.id, check.attempt, folder)
        try:
            self.nurse.start(job)
        except ConnectionError:
            await self._jobs_lost({key})
        # It may have been cancelled before it was in the list of what can be.
        current = await asyncio.to_thread(self._store.get, check.id)
        if current is None or current.status != "running":
            self.nurse.kill(key)

    def _job(self, check: Check, key: str, folder: Path) -> Job:
        limits = self._settings.limits
        upload = self._folders.upload(check.id)
        if check.reference is not None:
            target, label, inside = self._settings.references[check.reference], check.reference, folder
        else:
            target, label, inside = str(check.file), None, upload
        return Job(
            key=key,
            folder=str(folder),
            inside=str(inside),
            target=target,
            label=label,
            options=check.options,
            memory=limits.memory + check.size,
            cpu=limits.cpu,
            wall=limits.wall,
            written=limits.written,
            trusted=check.reference is not None,
        )

    async def _job_ended(self, ended: Ended) -> None:
        running = self._running.pop(ended.key, None)
        self._wake.set()
        if running is None:
            return
        self._measures.cpu.observe(ended.cpu)
        try:
            await asyncio.to_thread(self._record, running, ended)
        except Exception:
            # It stays "running" in the store, and the next start of the server puts it back.
            _log.exception("the end of job %s could not be recorded", running.check_id)

    async def _jobs_lost(self, keys: set[str]) -> None:
        for key in keys:
            running = self._running.pop(key, None)
            if running is not None:
                await asyncio.to_thread(self._put_back, running, "the process that starts workers was killed")
        self._wake.set()

    def _record(self, running: _Running, ended: Ended) -> None:
        code = os.waitstatus_to_exitcode(ended.status)
        if code == 0:
            outcome, report = _read(running.folder, self._settings.limits.written)
            self._finish(running.check_id, running.attempt, outcome, report)
        elif ended.why is None and -code in _FROM_OUTSIDE:
            self._put_back(
                running, f"its worker was killed by signal {-code} from outside, or ran the machine out of memory"
            )
        else:
            failure = self._failure(code, ended, running.folder)
            self._finish(running.check_id, running.attempt, Outcome(failure=failure), None)

    def _failure(self, code: int, ended: Ended, folder: Path) -> Failure:
        limits = self._settings.limits
        if ended.why == "timeout":
            return Failure(kind="Timeout", message=f"the check took more than {limits.wall:g} s and was ended")
        if ended.why == "cancelled":
            return Failure(kind="Cancelled", message="the check was cancelled")
        if -code == signal.SIGXCPU:
            return Failure(
                kind="Timeout", message=f"the check took more than {limits.cpu} s of computing and was ended"
            )
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        _log.error("worker of %s crashed (%s): %s", folder.name, name, _tail(folder / LOG))
        return Failure(
            kind="Crash", message=f"the worker crashed ({name}); the file brought that about, or a defect here"
        )

    def _finish(self, check_id: str, attempt: int, outcome: Outcome, report: bytes | None) -> None:
        if self._store.end(check_id, attempt, outcome, report):
            self._measures.finished.labels("failed" if outcome.failure else "done").inc()
        self._folders.remove(check_id)

    def _put_back(self, running: _Running, why: str) -> None:
        attempts = self._settings.attempts
        failure = Failure(kind="WorkerKilled", message=f"tried {attempts} times, and each time {why}")
        status = self._store.put_back(running.check_id, running.attempt, attempts, failure)
        if status == "queued":
            self._measures.put_back.inc()
            shutil.rmtree(running.folder, ignore_errors=True)
            return
        if status == "failed":
            self._measures.finished.labels("failed").inc()
        self._folders.remove(running.check_id)

    def progress(self, check: Check) -> dict[str, Any] | None:
        """How far a running job is: stage, done, total; None where that is not known."""
        if check.status != "running":
            return None
        try:
            with (self._folders.attempt(check.id, check.attempt) / PROGRESS).open("rb") as file:
                told = json.loads(file.read(1000))
            return {"stage": str(told["stage"])[:40], "done": int(told["done"]), "total": int(told["total"])}
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _read(folder: Path, limit: int) -> tuple[Outcome, bytes | None]:
    """What a worker left; a failure where that cannot be used."""
    try:
        with (folder / OUTCOME).open("rb") as file:
            outcome = Outcome.model_validate_json(file.read(_SMALL))
        if outcome.failure:
            return outcome, None
        with (folder / REPORT).open("rb") as file:
            return outcome, file.read(limit)
    except (OSError, ValidationError) as error:
        _log.error("the outcome in %s cannot be used: %s", folder, error)
        return Outcome(failure=Failure(kind="Crash", message="the worker left no outcome that can be used")), None


def _tail(log: Path) -> str:
    try:
        lines = log.read_bytes()[-2000:].decode(errors="backslashreplace").splitlines()
    except OSError:
        return ""
    return "\n".join(visible(line) for line in lines)  # names of a model can be among it, for whoever reads this log
