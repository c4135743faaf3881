"""Training every case once, a line of JSON each; what is there already is not trained again."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .cases import Case
from .training import Curve, seconds, train

RESULTS = Path(__file__).parent.parent / "results"
RUNS = RESULTS / "trainability.jsonl"


def run(cases: Sequence[Case], file: Path = RUNS, budget: float = float("inf")) -> int:
    """Train the cases that have no line yet, until the budget in seconds is used up; gives how many are left."""
    done, begun = set(read(file)), time.monotonic()
    left = [case for case in cases if case.key not in done]
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out:
        for index, case in enumerate(left):
            if time.monotonic() - begun > budget:
                return len(left) - index
            start = seconds()
            curves = train(case)
            row = {"key": case.key, "curves": [asdict(c) for c in curves], "cpu": round(seconds() - start, 2)}
            out.write(json.dumps(row, separators=(",", ":")) + "\n")
            out.flush()
    return 0


def read(file: Path = RUNS) -> dict[str, dict[str, Any]]:
    """The lines by the key of their case, curves as Curve."""
    rows: dict[str, dict[str, Any]] = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        row = json.loads(line)
        row["curves"] = [Curve(**{**c, "scores": [tuple(s) for s in c["scores"]]}) for c in row["curves"]]
        rows[row["key"]] = row
    return rows
