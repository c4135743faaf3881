"""How much faster a sweep over 1,000 models is with two Ray workers than with one.

    python benchmarks/sweep.py                 # the parts that are not measured yet, into benchmarks/results/sweep.json
    python benchmarks/sweep.py --seconds 240   # for four minutes; run again to go on
    python benchmarks/sweep.py --short         # a dozen small models, prints only; exit code 1 where reports differ

The models are all of torchvision's but the quantised ones, and as many of timm's, spread over its list, as make 1,000;
built without numbers (`check --meta`), so that the work is that of reading and judging a model. Both runs are on one
cluster with two workers: a run with one worker leaves the other idle. The workers are warm: what they take to import
torch and timm is measured apart. Each part of 50 models is run with one worker and with two, in turns first, so that
what disturbs the machine disturbs both; the finished reports are written to disk as `--resume` does. Reports have to
be the same, to the byte. The target: 1.7 times the speed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from conditions import measured

from initadvisor.engine import Checker, CheckSettings
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.zoo import matching
from initadvisor.sweep.cluster import connected
from initadvisor.sweep.job import Job
from initadvisor.sweep.ray_engine import RayEngine
from initadvisor.sweep.run import sweep
from initadvisor.sweep.store import SweepFile

PACKAGES = ("torch", "torchvision", "timm", "ray", "numpy")
RESULTS = Path(__file__).parent / "results" / "sweep.json"
MODELS, PART, TARGET = 1000, 50, 1.7
SHORT = (
    "torchvision:resnet18",
    "torchvision:alexnet",
    "torchvision:squeezenet1_1",
    "torchvision:mobilenet_v2",
    "torchvision:shufflenet_v2_x0_5",
    "torchvision:vgg11_bn",
    "timm:convnext_atto",
    "timm:vit_tiny_patch16_224",
    "timm:resnet26",
    "timm:mixer_s32_224",
    "timm:regnetx_002",
    "timm:mobilenetv3_small_050",
)


def targets() -> list[str]:
    """A thousand, in an order that puts the libraries and families into every part alike."""
    vision = [name for name in matching("torchvision", "*") if "quantized" not in name]
    others = matching("timm", "*")
    room = MODELS - len(vision)
    spread = [others[index * len(others) // room] for index in range(room)]
    return sorted(vision + spread, key=lambda name: hashlib.sha256(name.encode()).digest())


def jobs_for(names: list[str]) -> list[Job]:
    """A job for each, without numbers."""
    settings = CheckSettings(load=LoadOptions(meta=True))
    digest = Checker(settings).settings_digest
    return [
        Job(number=number, target=name, kind="check", settings=settings, digest=digest, folder=os.getcwd())
        for number, name in enumerate(names)
    ]


def timed(names: list[str], workers: int) -> tuple[float, str, Counter[str]]:
    """Seconds of a sweep, a digest of its reports, and how they ended."""
    jobs = jobs_for(names)
    with tempfile.TemporaryDirectory() as folder, SweepFile(Path(folder) / "sweep.jsonl") as file:
        start = time.perf_counter()
        reports = sweep(jobs, RayEngine(workers), file)
        seconds = time.perf_counter() - start
    digest = hashlib.sha256("".join(report.model_dump_json() for report in reports).encode()).hexdigest()
    return seconds, digest, Counter(report.verdict for report in reports)


def part(names: list[str], swap: bool) -> dict[str, Any]:
    """The row of one part of the list."""
    runs = {workers: timed(names, workers) for workers in ((2, 1) if swap else (1, 2))}
    return {
        "models": len(names),
        "one worker": round(runs[1][0], 2),
        "two workers": round(runs[2][0], 2),
        "same reports": runs[1][1] == runs[2][1],
        "verdicts": dict(runs[1][2]),
        "load": round(os.getloadavg()[0], 1),
    }


def summary(parts: dict[str, Any]) -> dict[str, Any]:
    """Sums over the parts."""
    one, two = (sum(row[key] for row in parts.values()) for key in ("one worker", "two workers"))
    verdicts: Counter[str] = Counter()
    for row in parts.values():
        verdicts.update(row["verdicts"])
    return {
        "models": sum(row["models"] for row in parts.values()),
        "seconds with one worker": round(one, 1),
        "seconds with two workers": round(two, 1),
        "times the speed": round(one / two, 2) if two else None,
        "target": TARGET,
        "reports are the same": all(row["same reports"] for row in parts.values()),
        "verdicts": dict(verdicts),
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a dozen models, nothing written")
    parser.add_argument("--again", action="store_true", help="from the beginning")
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    parts: dict[str, Any] = {}
    if RESULTS.exists() and not options.short and not options.again:
        parts = json.loads(RESULTS.read_text())["parts"]
    start = time.perf_counter()
    with connected(None, 2):
        cluster = time.perf_counter() - start
        start = time.perf_counter()
        # A model of each library for each worker: both are busy with imports, so that each takes its own.
        timed(["torchvision:resnet18", "torchvision:resnet34", "timm:resnet10t", "timm:resnet14t"], 2)
        costs = {"seconds to start Ray": round(cluster, 1)}
        costs["seconds until both workers are warm"] = round(time.perf_counter() - start, 1)
        if options.short:
            parts = {str(turn): part(list(SHORT), bool(turn)) for turn in range(2)}
            print(json.dumps({"costs": costs, "summary": summary(parts), "parts": parts}, indent=1))
            sys.exit(not all(row["same reports"] for row in parts.values()))
        names = targets()
        for number, first in enumerate(range(0, len(names), PART)):
            key = f"{first} to {first + PART - 1}"
            if key in parts:
                continue
            if time.monotonic() > until:
                break
            parts[key] = part(names[first : first + PART], bool(number % 2))
            print(f"{key}: {parts[key]}", flush=True)
            found = {
                "measured": measured(*PACKAGES, threads=1),
                "summary": summary(parts),
                "costs": costs,
                "parts": parts,
            }
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(summary(parts), indent=1))


if __name__ == "__main__":
    main()
