"""Predicted against measured signal at initialization.

    python benchmarks/signal                    # everything; resumes where it stopped, about 20 minutes on one core
    python benchmarks/signal --minutes 4        # stop after that long, to go on another time
    python benchmarks/signal --models resnet50  # only models whose name contains this; prints, writes nothing
    python benchmarks/signal --short            # a few small models and stacks; prints, writes nothing

Every torchvision classification model, a GPT-2-like and a Llama-like decoder, and plain stacks of every activation are
drawn and run once forward and back, and compared with the prediction: the standard deviation of every leaf module's
output and the norm of every weight's gradient. (A folder, since a file signal.py beside scripts would stand in front of
the standard library's module.) Measurements are kept in build/, and rows too until the handlers change; the summary is
benchmarks/results/signal.json.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from compare import GOALS, compare, summary_of, within
from measure import STORE
from models import TOO_LARGE, Case, decoder_cases, stack_cases, torchvision_cases
from speed import speed
from verdicts import judged, missed, wrong

import initadvisor

SUMMARY = Path(__file__).parents[1] / "results" / "signal.json"
ROWS = STORE.parent / "signal-rows.jsonl"
SHORT = ("gpt2", "resnet18", "mobilenet_v3_small", "mlp:relu", "cnn:tanh")


def cases() -> Iterator[Case]:
    """All models."""
    yield from decoder_cases()
    yield from torchvision_cases()
    yield from stack_cases()


def row_of(case: Case) -> dict[str, Any]:
    """Everything that is reported of one model."""
    if case.double:
        return judged(case)
    found = compare(case)
    return {**found.row(), "ratios": found.ratios()}


def code_digest() -> str:
    """Of all that a prediction is made by: rows of other code are stale."""
    package = Path(initadvisor.__file__).parent
    digest = hashlib.sha256()
    for folder in ("ops", "analysis/signal"):
        for path in sorted((package / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def kept_rows(digest: str) -> dict[str, dict[str, Any]]:
    """Rows that are there already, by model."""
    if not ROWS.exists():
        return {}
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    return {row["model"]: row for row in rows if row["code"] == digest}


def pooled(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All layers of some models together, and which models are outside of the goals by themselves."""
    found: dict[str, Any] = {"models": len(rows)}
    for what, goal in GOALS.items():
        ratios = [r for row in rows for of_op in row["ratios"][what].values() for r in of_op]
        found[what] = summary_of(ratios) | {"goal_median": goal[0], "goal_p95": goal[1]}
    found["models_outside"] = [
        row["model"] for row in rows if not all(within(row[what], goal) for what, goal in GOALS.items())
    ]
    return found


def by_operator(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """For each operator how far predictions are off, the worst first."""
    pools: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for what, ops in row["ratios"].items():
            for op, ratios in ops.items():
                pools[f"{op}: {what}"].extend(ratios)
    found = {name: summary_of(ratios) for name, ratios in pools.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]["p95_factor"]))


def machine() -> dict[str, Any]:
    """Where and with what this ran."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} shared cores, no GPU",
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
        "initadvisor": getattr(initadvisor, "__version__", "unknown"),
    }


def summarised(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What is committed and printed."""
    models = [row for row in rows if "verdicts" not in row]
    stacks = [row for row in rows if "verdicts" in row]
    verdicts = [verdict for row in stacks for verdict in row["verdicts"]]
    plain = ("ratios", "verdicts", "code")
    return {
        "machine": machine(),
        "conditions": {
            "draw": "one draw of every model; its weights' mean and second moment are what the prediction knows",
            "inputs": "N(0, 1) images of 96 or 64 pixels in batches of 8, 4 or 2 (see models.py); random tokens",
            "gradient": "independent N(0, 1) at every output",
            "mode": "training, without dropout and stochastic depth; float32 models, float64 stacks",
        },
        "all": pooled(rows),
        "models": pooled(models),
        "plain_stacks": pooled(stacks),
        "not_run": TOO_LARGE,
        "operators": by_operator(rows),
        "verdicts": {
            "judged": len(verdicts),
            "given": sum(v["predicted_verdict"] != "neither" for v in verdicts),
            "wrong": [v for v in verdicts if wrong(v)],
            "measured_but_not_given": [v for v in verdicts if missed(v)],
        },
        "by_model": [{k: v for k, v in row.items() if k not in plain} for row in models],
        "by_stack": [
            {k: row[k] for k in ("model", "activation_std", "weight_gradient_norm", "unknown_operators")}
            for row in stacks
        ],
    }


def line(row: dict[str, Any]) -> str:
    """One model in one line."""
    numbers = [row[what].get(key, "-") for what in GOALS for key in ("median_error", "p95_factor")]
    return f"{row['model']:38s} {row['predict_ms']:7.1f} ms " + " ".join(f"{n:>8}" for n in numbers)


def main() -> None:
    """Run what is missing, then sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", help="only models whose name contains one of these")
    parser.add_argument("--short", action="store_true", help="a few models, nothing written")
    parser.add_argument("--minutes", type=float, default=600.0, help="start no further model after this long")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts = SHORT if arguments.short else arguments.models
    digest, start = code_digest(), time.monotonic()
    kept = {} if parts else kept_rows(digest)
    if not parts and not kept:
        ROWS.parent.mkdir(parents=True, exist_ok=True)
        ROWS.write_text("")
    for case in cases():
        if case.name in kept or (parts and not any(part in case.name for part in parts)):
            continue
        if time.monotonic() - start > 60 * arguments.minutes:
            print(f"stopped after {arguments.minutes:g} minutes with {len(kept)} models; run again to go on")
            return
        row = {**row_of(case), "code": digest}
        kept[case.name] = row
        print(line(row), flush=True)
        if not parts:
            with ROWS.open("a") as rows:
                rows.write(json.dumps(row) + "\n")
        gc.collect()
    found = summarised(list(kept.values()))
    if not parts:
        found["speed"] = speed()
        SUMMARY.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({key: found[key] for key in ("all", "models", "plain_stacks", "verdicts")}, indent=1))
    print(json.dumps(found.get("speed", {})))


if __name__ == "__main__":
    main()
