"""How fast keyed draws and a whole plan are, as ratios measured in one run.

    python benchmarks/apply.py            # all sizes, writes benchmarks/results/apply.json
    python benchmarks/apply.py --short    # the smallest sizes, prints only
    python benchmarks/apply.py --part resnet50  # renews that part of the results

Each pair of contestants runs in turn, several times; a ratio is the median over the rounds of the ratio within a
round, so that a busy machine slows both sides alike. What runs on one thread is measured in processor time, which
neighbours on a shared machine do not add to; several threads and GPUs are measured by the wall clock.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from conditions import cpu

from initadvisor import __version__
from initadvisor.analysis.structure import describe
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.apply.keyed_torch import fill_
from initadvisor.apply.torch_module import apply
from initadvisor.frontends import load
from initadvisor.initializers import InitSpec, Key
from initadvisor.plan import Plan, advise

RESULTS = Path(__file__).parent / "results" / "apply.json"
KEY = Key(0, "benchmark.weight")
SPECS = {
    "normal": (InitSpec("normal", {"std": 0.02}), lambda x: x.normal_(0.0, 0.02)),
    "uniform": (InitSpec("uniform", {"bound": 0.02}), lambda x: x.uniform_(-0.02, 0.02)),
    "truncated normal, 2 sigma": (
        InitSpec("truncated_normal", {"std": 0.02}),
        lambda x: torch.nn.init.trunc_normal_(x, 0.0, 0.02, -0.04, 0.04),
    ),
}


def versus(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Median seconds of each and the median of the ratios within a round."""
    ours(), theirs()
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(rounds)]
    return {
        "seconds": statistics.median(a for a, _ in pairs),
        "reference_seconds": statistics.median(b for _, b in pairs),
        "ratio": round(statistics.median(a / b for a, b in pairs), 3),
        "ratio_min": round(min(a / b for a, b in pairs), 3),
        "ratio_max": round(max(a / b for a, b in pairs), 3),
    }


def _seconds(run: Callable[[], Any]) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 and not torch.cuda.is_available() else time.perf_counter
    start = clock()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start


def draws(sizes: list[int], rounds: int, device: str, dtypes: list[torch.dtype]) -> list[dict[str, Any]]:
    """Keyed draws against torch's own generator, over sizes, threads and dtypes."""
    rows = []
    for threads in (1, os.cpu_count() or 1) if device == "cpu" else (1,):
        torch.set_num_threads(threads)
        for dtype in dtypes:
            for size in sizes:
                x = torch.empty(size, dtype=dtype, device=device)
                for name, (spec, reference) in SPECS.items():
                    if name.startswith("truncated") and (size > 1 << 22 or dtype != torch.float32):
                        continue
                    row = {"draw": name, "device": device, "threads": threads, "dtype": str(dtype), "elements": size}
                    row |= versus(lambda: fill_(x, spec, KEY), lambda: reference(x), rounds)  # noqa: B023
                    row["ns_per_element"] = round(row["seconds"] / size * 1e9, 2)
                    if device == "cuda":
                        y = torch.empty_like(x)
                        copy = versus(lambda: y.copy_(x), lambda: reference(x), rounds)  # noqa: B023
                        row["over_copy"] = round(row["seconds"] / copy["seconds"], 1)
                    rows.append(row)
                    print(
                        f"{name:26s} {device} x{threads} {row['dtype'][6:]:9s} {size:>9,}: {row['ratio']:.2f}x torch "
                        f"({row['ratio_min']:.2f}..{row['ratio_max']:.2f}), {row['ns_per_element']} ns an element"
                    )
    return rows


def whole_model(rounds: int) -> dict[str, Any]:
    """Plan and apply on resnet50 against torchvision building it, which draws every weight once."""
    torch.set_num_threads(1)
    model = torchvision.models.resnet50()
    plan = advise(describe(load(model)))

    def measured() -> Plan:
        graph = describe(load(model))
        return advise(graph, tensor_facts(graph))

    def build() -> Any:
        return torchvision.models.resnet50()

    contestants = {
        "apply": lambda: apply(model, plan),
        "plan without measuring, and apply": lambda: apply(model, advise(describe(load(model)))),
        "measure, plan and apply": lambda: apply(model, measured()),
    }
    rows = {name: versus(run, build, rounds) for name, run in contestants.items()}
    for name, row in rows.items():
        print(f"resnet50, {name}: {row['seconds']:.2f} s, {row['ratio']:.2f}x building it")
    return rows


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="small sizes, few rounds, nothing written")
    parser.add_argument("--part", choices=("draws", "resnet50"), help="measure only this and keep the rest")
    options = parser.parse_args()
    short: bool = options.short
    sizes = [1 << 20] if short else [1 << 20, 1 << 22, 1 << 24, 1 << 26]
    dtypes = [torch.float32] if short else [torch.float32, torch.bfloat16]
    known = json.loads(RESULTS.read_text()) if options.part and RESULTS.exists() else {}
    found: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": cpu(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "shared": "other work ran beside it",
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "system": platform.platform(),
        },
        "versions": {
            "initadvisor": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "torchvision": torchvision.__version__,
        },
        "goal": "keyed normal at most 1.5x torch.Tensor.normal_ on the CPU",
        "draws": known.get("draws", []),
        "resnet50": known.get("resnet50", {}),
    }
    if options.part != "resnet50":
        found["draws"] = draws(sizes, 3 if short else 7, "cpu", dtypes)
        if torch.cuda.is_available():
            found["draws"] += draws(sizes, 7, "cuda", dtypes)
    if options.part != "draws":
        found["resnet50"] = whole_model(1 if short else 5)
    if not short:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
