"""The server's side of jobs on Ray: as many wards as jobs may run at a time, on any node that sees the data folder."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from initadvisor.errors import InitAdvisorError
from initadvisor.service.workers.messages import Ended, Job
from initadvisor.service.workers.ward import Ward
from initadvisor.sweep.cluster import connected

_log = logging.getLogger("initadvisor.service")
_AGAIN_SECONDS = 5.0


class RayNurse:
    """What `Nurse` is for processes here, for a Ray cluster: RAY_ADDRESS says which; without it, one on this machine.

    wards: jobs at a time. home: the data folder. rules, ended, lost: as `Nurse` takes them.
    """

    def __init__(
        self,
        rules: Mapping[str, Any],
        ended: Callable[[Ended], Awaitable[None]],
        lost: Callable[[set[str]], Awaitable[None]],
        *,
        wards: int,
        home: str,
    ) -> None:
        self._rules = dict(rules)
        self._ended = ended
        self._lost = lost
        self._wards = wards
        self._home = home
        self._ray: Any = None
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        self._at: dict[str, Any] = {}
        self._stopped: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.pid: int | None = None
        self.pids: dict[str, int] = {}
        self.ready = asyncio.Event()
        self.problem = "the Ray cluster is being reached"
        self.restarts = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            way = connected(None, self._wards)
            try:
                self._ray = await asyncio.to_thread(way.__enter__)
                break
            except InitAdvisorError as error:
                self.problem = str(error)
                _log.warning("%s; trying again", error)
                await asyncio.sleep(_AGAIN_SECONDS)
        try:
            for _ in range(self._wards):
                self._go(self._open())
            await asyncio.Event().wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.to_thread(way.__exit__, None, None, None)

    def start(self, job: Job) -> None:
        """Send a job to a ward, as soon as one is free."""
        self._at[job.key] = None
        self._go(self._through(job))

    def kill(self, key: str) -> None:
        """End the worker of a job, if it runs; a job that waits for a ward is not begun."""
        if key not in self._at:
            return
        self._stopped.add(key)
        if self._at[key] is not None:
            self._at[key].kill.remote(key)

    def _go(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self) -> None:
        """A new ward; tries until there is one."""
        while True:
            actor = self._ray.remote(num_cpus=1, max_restarts=0, max_concurrency=8)(Ward)
            try:
                ward = actor.remote(self._rules, self._home)
                problem = await ward.opened.remote()
            except self._ray.exceptions.RayError as error:
                problem = f"a Ray worker cannot be started: {type(error).__name__}"
            if not problem:
                self.problem = ""
                self._free.put_nowait(ward)
                self.ready.set()
                return
            self.problem = self.problem and problem
            _log.warning("%s; trying again", problem)
            with contextlib.suppress(Exception):
                self._ray.kill(ward)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _through(self, job: Job) -> None:
        ward = await self._free.get()
        ended: Ended | None = None
        try:
            if job.key in self._stopped:
                ended = Ended(key=job.key, status=int(signal.SIGKILL), why="cancelled")
            else:
                self._at[job.key] = ward
                ended = await ward.do.remote(job)
            self._free.put_nowait(ward)
        except self._ray.exceptions.RayError as error:
            self.restarts += 1
            _log.warning("a Ray worker was lost (%s); another one is started", type(error).__name__)
            self._go(self._open())
        finally:
            self._at.pop(job.key, None)
            self._stopped.discard(job.key)
        await (self._lost({job.key}) if ended is None else self._ended(ended))
