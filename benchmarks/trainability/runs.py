"""Training every case once, a line of JSON each; what is there already is not trained again."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from .cases import Case
from .training import Curve, seconds, train

RESULTS = Path(__file__).parent.parent / "results"
RUNS = RESULTS / "trainability.jsonl"


def run(cases: Sequence[Case], file: Path = RUNS, budget: float = float("inf"), jobs: int = 1) -> int:
    """Train the cases that have no line yet, until the budget in seconds is used up; gives how many are left."""
    return each(row, cases, file, set(read(file)), budget, jobs)


def row(case: Case) -> dict[str, Any]:
    """The line of one case."""
    start = seconds()
    curves = train(case)
    return {"key": case.key, "curves": [asdict(c) for c in curves], "cpu": round(seconds() - start, 2)}


def each(
    do: Callable[[Case], dict[str, Any]],
    cases: Sequence[Case],
    file: Path,
    done: Collection[str],
    budget: float,
    jobs: int,
) -> int:
    """A line of JSON for every case that is not done, by that many processes; gives how many are left."""
    begun = time.monotonic()
    left = deque(case for case in cases if case.key not in done)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out, ProcessPoolExecutor(jobs, get_context("spawn"), _alone) as pool:
        running: set[Future[dict[str, Any]]] = set()
        while running or (left and time.monotonic() - begun <= budget):
            while left and len(running) < jobs and time.monotonic() - begun <= budget:
                running.add(pool.submit(do, left.popleft()))
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                out.write(json.dumps(future.result(), separators=(",", ":")) + "\n")
                out.flush()
    return len(left)


def _alone() -> None:
    """A process of the pool has one thread: the next core is another one's."""
    torch.set_num_threads(1)


def read(file: Path = RUNS) -> dict[str, dict[str, Any]]:
    """The lines by the key of their case, curves as Curve."""
    rows: dict[str, dict[str, Any]] = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        row = json.loads(line)
        row["curves"] = [Curve(**{**c, "scores": [tuple(s) for s in c["scores"]]}) for c in row["curves"]]
        rows[row["key"]] = row
    return rows
