"""Many uploads at once, with or without kills: who asked for what, and what became of it."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.service import models
from tests.service.running import ENDED, OCTETS, Server


@dataclass
class Storm:
    """Uploads of files that can be told apart. accepted: id -> mark."""

    server: Any
    accepted: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def upload(self, mark: str, seconds: float = 120.0) -> None:
        """Give one file in, again where the server is away or full; what was not accepted is not counted."""
        until = time.monotonic() + seconds
        content = models.marked(mark)
        while time.monotonic() < until:
            try:
                with self.server.client() as client:
                    answer = client.post("/v1/checks", content=content, params={"model": mark}, headers=OCTETS)
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if answer.status_code == 202:
                with self._lock:
                    self.accepted[answer.json()["id"]] = mark
                return
            self.refused += 1
            time.sleep(0.2)
        raise AssertionError(f"{mark} was not accepted in {seconds} s")

    def run(self, count: int, at_once: int, meanwhile: Callable[[threading.Event], None] | None = None) -> None:
        """Give in `count` files; `meanwhile` runs beside until the event is set."""
        over = threading.Event()
        beside = threading.Thread(target=meanwhile, args=(over,)) if meanwhile else None
        if beside:
            beside.start()
        try:
            with ThreadPoolExecutor(at_once) as pool:
                list(pool.map(self.upload, (f"m{number}" for number in range(count))))
        finally:
            over.set()
            if beside:
                beside.join()

    def killer(
        self, due: Iterable[tuple[int, str]], count: Callable[[], int] | None = None
    ) -> Callable[[threading.Event], None]:
        """Kills of a "worker", the "nursery" or the "server", each once that many jobs are accepted.

        count: what is counted instead.
        """
        waiting = sorted(due)
        reached = count or (lambda: len(self.accepted))

        def kill(over: threading.Event) -> None:
            while waiting and not over.wait(0.01):
                if reached() < waiting[0][0]:
                    continue
                kind = waiting.pop(0)[1]
                if kind == "server":
                    self.server.kill()
                    self.server.start()
                else:
                    found = self._found(kind)
                    if not found:
                        continue
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(found, signal.SIGKILL)
                self.killed[kind] += 1

        return kill

    def _found(self, kind: str) -> int | None:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            pids = self.server.workers() if kind == "worker" else self.server.nurseries()
            if pids:
                return pids[0]
        return None

    def ended(self) -> int:
        """How many jobs of the server have ended; 0 while it is away."""
        time.sleep(0.1)
        try:
            with self.server.client() as client:
                counts = (client.get("/v1/checks", params={"status": each, "per_page": 1}).json() for each in ENDED)
                return sum(int(count["total"]) for count in counts)
        except httpx.TransportError:
            return 0

    def settled(self, seconds: float) -> dict[str, dict]:
        """Every check of the server once none is open."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError), self.server.client() as client:
                if not any(
                    client.get("/v1/checks", params={"status": status}).json()["total"]
                    for status in ("queued", "running")
                ):
                    return {check["id"]: check for check in _all(client)}
            time.sleep(0.2)
        raise AssertionError(f"jobs are open after {seconds} s")

    def verdicts(self, checks: dict[str, dict]) -> dict[str, int]:
        """How the accepted jobs ended; asserts that each ended once, with its own report or a stated failure."""
        counts: dict[str, int] = {}
        with self.server.client() as client:
            for check_id, mark in self.accepted.items():
                check = checks[check_id]
                assert check["status"] in ENDED
                assert check["model"] == mark
                counts[check["status"]] = counts.get(check["status"], 0) + 1
                answer = client.get(f"/v1/checks/{check_id}/report")
                if check["status"] == "done":
                    assert [layer["weight"] for layer in answer.json()["layers"]] == [f"w.{mark}"]
                else:
                    assert answer.status_code == 409
                    assert check["failure"]["message"]
        return counts


def _all(client: httpx.Client) -> Iterator[dict]:
    page = 1
    while items := client.get("/v1/checks", params={"page": page, "per_page": 200}).json()["items"]:
        yield from items
        page += 1


def reports_stored(server: Server) -> int:
    """The rows of the table of reports, read past the server."""
    with sqlite3.connect(server.data / "initadvisor.sqlite3") as connection:
        return int(connection.execute("SELECT count(*) FROM reports").fetchone()[0])
