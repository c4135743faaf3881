"""In a Ray worker: a nursery of its own, so that jobs run there under the limits that they have on the server.

A Ray worker has threads and lives on, so that it can neither be forked nor be confined; the nursery that it starts
can. It ends with the Ray worker, and whatever it runs ends with it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from initadvisor.service.workers.messages import Ended, Job
from initadvisor.service.workers.nurse import Nurse


class Ward:
    """A Ray actor for one job at a time. rules: settings of the checker. home: the server's data folder."""

    def __init__(self, rules: Mapping[str, Any], home: str) -> None:
        self._home = home
        self._ends: dict[str, asyncio.Future[Ended | None]] = {}
        self._nurse = Nurse(rules, self._on_end, self._on_loss)
        self._nursing: asyncio.Task[None] | None = None

    async def opened(self) -> str:
        """Why no job can run here, or "": returns once the nursery is ready, or has said what is wrong."""
        if not os.path.isdir(self._home):
            return f"the data folder {self._home} is not there on the node {os.uname().nodename}: it has to be shared"
        if self._nursing is None:
            self._nursing = asyncio.create_task(self._nurse.run())
        while not self._nurse.ready.is_set() and not self._nurse.restarts:
            await asyncio.sleep(0.02)
        return self._nurse.problem

    async def do(self, job: Job) -> Ended | None:
        """Run a job; None where the nursery was killed under it."""
        await self._nurse.ready.wait()
        end: asyncio.Future[Ended | None] = asyncio.get_running_loop().create_future()
        self._ends[job.key] = end
        try:
            self._nurse.start(job)
        except ConnectionError:
            self._ends.pop(job.key)
            return None
        return await end

    async def kill(self, key: str) -> None:
        """End the worker of a job, if it runs."""
        self._nurse.kill(key)

    async def _on_end(self, ended: Ended) -> None:
        end = self._ends.pop(ended.key, None)
        if end is not None:
            end.set_result(ended)

    async def _on_loss(self, keys: set[str]) -> None:
        for key in keys:
            end = self._ends.pop(key, None)
            if end is not None:
                end.set_result(None)
