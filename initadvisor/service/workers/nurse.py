"""The server's side of the nursery: starts the process, sends it jobs, hears how they end, starts it anew."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from initadvisor.service.workers.messages import Ended, Job, line, parsed

_log = logging.getLogger("initadvisor.service")

_PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "HF_HOME", "TORCH_HOME")
"""What workers see of the environment; tokens and passwords are not among it."""

_THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")}
_START_SECONDS = 300.0
_AGAIN_SECONDS = 1.0


class Nurse:
    """Keeps one nursery running.

    rules: settings of the checker, as JSON. ended: called for every job that ended. lost: called with the keys of the
    jobs that a dead nursery took with it.
    """

    def __init__(
        self,
        rules: Mapping[str, Any],
        ended: Callable[[Ended], Awaitable[None]],
        lost: Callable[[set[str]], Awaitable[None]],
    ) -> None:
        self._rules = dict(rules)
        self._ended = ended
        self._lost = lost
        self._process: asyncio.subprocess.Process | None = None
        self._keys: set[str] = set()
        self.pids: dict[str, int] = {}
        self.ready = asyncio.Event()
        self.problem = "workers are being started"
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process of the nursery, once it is started."""
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            try:
                await self._once()
            except OSError as error:
                self.problem = f"workers cannot be started: {error}"
            failures = 0 if self.ready.is_set() else failures + 1
            self.ready.clear()
            self.pids.clear()
            keys, self._keys = self._keys, set()
            await self._lost(keys)
            self.restarts += 1
            _log.warning("the workers' process ended (%s); it is started again", self.problem)
            await asyncio.sleep(_AGAIN_SECONDS * min(30, 2**failures))

    async def _once(self) -> None:
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "initadvisor.service.workers.nursery",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        try:
            self._send(line("rules", self._rules))
            assert process.stdout is not None
            first = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
            while first:
                await self._hear(first)
                first = await process.stdout.readline()
            self.problem = "the process that starts workers was killed" if self.ready.is_set() else self.problem
        except TimeoutError:
            self.problem = f"the process that starts workers was not ready in {_START_SECONDS:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())

    async def _hear(self, raw: bytes) -> None:
        kind, body = parsed(raw)
        if kind == "ready":
            self.problem = ""
            self.ready.set()
        elif kind == "broken":
            self.problem = str(body)
        elif kind == "started":
            self.pids[body["key"]] = body["pid"]
        elif kind == "ended":
            self._keys.discard(body.key)
            self.pids.pop(body.key, None)
            await self._ended(body)

    def start(self, job: Job) -> None:
        """Send a job; raises ConnectionError where the nursery is gone."""
        self._keys.add(job.key)
        try:
            self._send(line("start", job))
        except ConnectionError:
            self._keys.discard(job.key)
            raise

    def kill(self, key: str) -> None:
        """End the worker of a job, if it runs."""
        if key in self._keys:
            with contextlib.suppress(ConnectionError):
                self._send(line("kill", key))

    def _send(self, message: bytes) -> None:
        if self._process is None or self._process.stdin is None or self._process.stdin.is_closing():
            raise ConnectionResetError("there is no process to start workers")
        self._process.stdin.write(message)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # The package that the server runs is the one that workers run, wherever it was started from.
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH", ""))))
    return {**kept, **_THREADS, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
