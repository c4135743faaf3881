"""How the service holds: many uploads at once, calls beside busy workers, and kills.

    python benchmarks/service.py           # 200 uploads at once, 1000 jobs through kills; writes results/service.json
    python benchmarks/service.py --short   # 40 and 40; prints only

1. Uploads of small files that can be told apart, many at once: none lost, none mixed up.
2. While workers are busy, the calls that check nothing (status, list, rules, health, a stored report) are made one
   after another; goal: 95 % of them answered within 50 ms. What the machine itself takes is measured beside it, by a
   bare asyncio server that answers the same number of calls with two words, and so is what the server computes.
3. Jobs given in while the server, the process that starts workers, and workers are ended by kill -9, over and over;
   goal: every accepted job ends, once, with its own report or a stated failure.

Each part is stored as soon as it is measured, and a later run goes on with what is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.service import models  # noqa: E402
from tests.service.running import OCTETS, Server, ended, free_port, give  # noqa: E402
from tests.service.storm import Storm, reports_stored  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "service.json"


def uploads(count: int) -> dict[str, Any]:
    """Part 1."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data", "--workers", "2").start()
        try:
            storm = Storm(server)
            began = time.perf_counter()
            storm.run(count, at_once=min(count, 200))
            accepted = time.perf_counter() - began
            checks = storm.settled(1200)
            whole = time.perf_counter() - began
            counts = storm.verdicts(checks)  # raises where one is lost or mixed up
        finally:
            server.stop()
    return {
        "uploads": count,
        "at_once": min(count, 200),
        "ended": counts,
        "lost": count - sum(counts.values()),
        "seconds_until_all_accepted": round(accepted, 2),
        "seconds_until_all_ended": round(whole, 2),
        "jobs_per_second": round(count / whole, 1),
        "load_average": _load(),
    }


def calls(rounds: int) -> dict[str, Any]:
    """Part 2."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data", "--workers", "2").start()
        try:
            with server.client() as client:
                done = ended(client, give(client, model="known", commit="1")["id"])
                for _ in range(max(8, rounds // 4)):
                    client.post("/v1/checks", content=models.slow(), headers=OCTETS)
                addresses = {
                    "status": f"/v1/checks/{done['id']}",
                    "list": "/v1/checks?per_page=50",
                    "search": "/v1/checks?q=kno&status=done",
                    "report as json": f"/v1/checks/{done['id']}/report",
                    "rules": "/v1/rules",
                    "rule": "/v1/rules/IA101",
                    "health": "/healthz",
                }
                times: dict[str, list[float]] = {name: [] for name in addresses}
                busy, before = 0, _cpu(server)
                for _ in range(rounds):
                    busy += len(server.workers()) > 0
                    for name, address in addresses.items():
                        began = time.perf_counter()
                        assert client.get(address).status_code == 200
                        times[name].append(time.perf_counter() - began)
                spent = _cpu(server) - before
                for check in client.get("/v1/checks", params={"per_page": 200}).json()["items"]:
                    client.delete(f"/v1/checks/{check['id']}")
                floor = asyncio.run(_floor(rounds * len(addresses)))
        finally:
            server.stop()
    every = [one for each in times.values() for one in each]
    return {
        "calls": len(every),
        "share_of_rounds_with_busy_workers": round(busy / rounds, 2),
        "p95_ms": round(_p95(every), 1),
        "median_ms": round(1000 * statistics.median(every), 1),
        "p95_ms_by_call": {name: round(_p95(each), 1) for name, each in times.items()},
        "computing_ms_of_the_server_per_call": round(1000 * spent / len(every), 2),
        "p95_ms_of_a_bare_server": round(_p95(floor), 1),
        "load_average": _load(),
    }


async def _floor(count: int) -> list[float]:
    """Seconds of calls to a server that does nothing, on the same machine at about the same time."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # the client is through
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n")
        writer.close()

    port = free_port()
    serving = await asyncio.start_server(answer, "127.0.0.1", port)

    def ask() -> list[float]:
        times = []
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(count):
                began = time.perf_counter()
                client.get("/")
                times.append(time.perf_counter() - began)
        return times

    times = await asyncio.to_thread(ask)
    serving.close()
    return times


def _cpu(server: Server) -> float:
    """Seconds that the server itself has computed, its workers left out; they are to be busy meanwhile."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _load() -> list[float]:
    """Processes that wanted to run, on average over 1 and 5 minutes; beyond the number of cores they wait."""
    return [round(each, 1) for each in os.getloadavg()[:2]]


def _p95(seconds: list[float]) -> float:
    return 1000 * sorted(seconds)[int(0.95 * (len(seconds) - 1))]


def kills(count: int) -> dict[str, Any]:
    """Part 3: by the number of jobs that have ended, so that a slow machine sees as many kills as a fast one."""
    due = [(at, "worker") for at in range(10, count, 20)]
    due += [(at, "nursery") for at in range(15, count, max(20, count // 8))]
    due += [(at, "server") for at in range(20, count, max(20, count // 5))]
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data", "--workers", "2").start()
        storm = Storm(server)
        try:
            began = time.perf_counter()
            over = threading.Event()
            beside = threading.Thread(target=storm.killer(due, storm.ended), args=(over,))
            beside.start()
            try:
                storm.run(count, at_once=8)
                checks = storm.settled(1200)
            finally:
                over.set()
                beside.join()
            counts = storm.verdicts(checks)
            seconds = time.perf_counter() - began
            stored = reports_stored(server)
        finally:
            server.stop()
    done = sum(check["status"] == "done" for check in checks.values())
    attempts = Counter(check["attempt"] for check in checks.values())
    failures = Counter(check["failure"]["kind"] for check in checks.values() if check["failure"])
    return {
        "jobs_accepted": len(storm.accepted),
        "ended": counts,
        "lost": count - sum(counts.values()),
        "reports_stored_equal_jobs_done": stored == done,
        "accepted_without_an_answer": len(checks) - len(storm.accepted),
        "kills": dict(storm.killed),
        "kills_due": dict(Counter(kind for _, kind in due)),
        "attempts": {str(key): attempts[key] for key in sorted(attempts)},
        "failures": dict(failures),
        "seconds": round(seconds, 1),
        "load_average": _load(),
    }


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="smaller numbers, printed only")
    parser.add_argument("--again", action="store_true", help="forget what was measured")
    given = parser.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() and not (given.short or given.again) else {}
    parts = kept.get("parts", {})
    for name, measure in (
        ("uploads", lambda: uploads(40 if given.short else 200)),
        ("calls", lambda: calls(20 if given.short else 150)),
        ("kills", lambda: kills(40 if given.short else 1000)),
    ):
        if name in parts:
            continue
        parts[name] = measure()
        print(name, json.dumps(parts[name]), flush=True)
        if not given.short:
            RESULTS.write_text(json.dumps({**_about(), "parts": parts}, indent=1) + "\n")
    assert parts["uploads"]["lost"] == parts["kills"]["lost"] == 0
    assert parts["kills"]["reports_stored_equal_jobs_done"]


def _about() -> dict[str, Any]:
    names = ("fastapi", "uvicorn", "sqlalchemy", "onnx", "numpy")
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "shared": True, "gpu": None},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
        "goals": {"lost": 0, "p95_ms": 50},
    }


if __name__ == "__main__":
    main()
