"""What share of the public model libraries is captured, how long it takes, how the cost grows.

    python benchmarks/capture.py torchvision            # every model
    python benchmarks/capture.py timm                   # every name of timm.list_models()
    python benchmarks/capture.py transformers           # every class that AutoModel* reaches, from its own config
    python benchmarks/capture.py scaling                # seconds against operators: a linear fit
    python benchmarks/capture.py large                  # a 405-billion-parameter Llama, in a process of its own
    python benchmarks/capture.py summary                # print what the results file holds

A run continues where the last one stopped (`--again` starts over, `--failed` tries failures again, `--seconds` stops
early, `--only` picks names). Every model has a process of its own with 150 processor seconds and 8 GB; times of the
libraries are processor seconds. Weights are not drawn: capture does not read them. Results go to
benchmarks/results/capture.json, written after every model.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import capture_libraries
from capture_child import WHOLE, Row, measured, warm

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.simplefilter("ignore")

RESULTS = Path(__file__).parent / "results" / "capture.json"


def main() -> None:
    """Run one part of the benchmark and merge it into the results file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["torchvision", "timm", "transformers", "scaling", "large", "summary"])
    parser.add_argument("--again", action="store_true", help="forget earlier results of this part")
    parser.add_argument("--failed", action="store_true", help="try the models again that failed")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--only", default="", help="names that contain this")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "summary":
        print(json.dumps({name: part.get("summary", part) for name, part in _read().items()}, indent=1))
    elif options.part == "scaling":
        _store("scaling", _scaling())
    elif options.part == "large":
        print(json.dumps(_worker(options.worker))) if options.worker else _store("large", _large())
    else:
        _library(options.part, options)


def _library(part: str, options: argparse.Namespace) -> None:
    rows: dict[str, Row] = {} if options.again else _read().get(part, {}).get("models", {})
    until = time.monotonic() + options.seconds
    makers = list(getattr(capture_libraries, part)())
    warm()
    for name, configurations in makers:
        done = name in rows and not (options.failed and rows[name]["capture"] not in WHOLE)
        if done or options.only not in name:
            continue
        if time.monotonic() > until:
            break
        rows[name] = measured(configurations)
        print(f"{name:55s} {_line(rows[name])}", flush=True)
        _store(part, {"summary": _summary(rows), "models": rows})
    print(json.dumps(_summary(rows), indent=1))


def _scaling() -> Row:
    """Capture a residual MLP of growing depth; the cost per operator must not grow."""
    import numpy as np
    import torch
    from torch import nn

    from initadvisor.frontends.torch_module import load

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.up, self.down = nn.LayerNorm(64), nn.Linear(64, 128), nn.Linear(128, 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.down(torch.relu(self.up(self.norm(x))))

    points = []
    for blocks in (10, 20, 50, 100, 200, 500, 1000, 2000, 4000):
        with torch.device("meta"):
            model = nn.Sequential(*(Block() for _ in range(blocks)))
        best, graph = float("inf"), None
        for _ in range(3):
            gc.collect()
            start = time.perf_counter()
            graph = load(model)
            best = min(best, time.perf_counter() - start)
        assert graph is not None
        points.append((len(graph.nodes), round(best, 4)))
    operators, seconds = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    slope, intercept = np.polyfit(operators, seconds, 1)
    power = np.polyfit(np.log(operators[2:]), np.log(seconds[2:]), 1)[0]
    residual = seconds - (slope * operators + intercept)
    explained = 1 - float((residual**2).sum() / ((seconds - seconds.mean()) ** 2).sum())
    row = {
        "points": points,
        "microseconds_per_operator": round(1e6 * float(slope), 1),
        "r_squared": round(explained, 5),
        "exponent": round(float(power), 3),
        "resnet50_seconds": _resnet(),
    }
    print(json.dumps(row, indent=1))
    return row


def _resnet() -> float:
    """Seconds of the first capture of resnet50 in a fresh process, after the imports."""
    code = (
        "import time, torchvision; from initadvisor.frontends.torch_module import load;"
        "m = torchvision.models.resnet50(); t = time.perf_counter(); load(m); print(time.perf_counter() - t)"
    )
    return round(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout), 3
    )


LLAMA_405B = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 16384,
    "intermediate_size": 53248,
    "num_hidden_layers": 126,
    "num_attention_heads": 128,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rope_theta": 500000.0,
}


def _large() -> Row:
    """Build and capture in a fresh process; the whole process counts, imports included."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(LLAMA_405B))
        start = time.perf_counter()
        command = [sys.executable, __file__, "large", "--worker", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        row: Row = json.loads(result.stdout.splitlines()[-1])
    row["process_seconds"] = round(time.perf_counter() - start, 2)
    print(json.dumps(row, indent=1))
    return row


def _worker(config: str) -> Row:
    import resource

    from initadvisor.frontends import LoadOptions
    from initadvisor.frontends.references import build
    from initadvisor.frontends.torch_module import load

    start = time.perf_counter()
    module = build(f"hf:{config}", LoadOptions(meta=True))
    built = time.perf_counter()
    graph = load(module)
    return {
        "parameters": sum(p.size for p in graph.parameters.values() if not p.buffer),
        "operators": len(graph.nodes),
        "capture": graph.coverage.capture,
        "build_seconds": round(built - start, 2),
        "record_seconds": round(time.perf_counter() - built, 2),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _line(row: Row) -> str:
    if "error" in row:
        return f"{row['capture']}: {row['error']}"
    return f"{row['operators']:6d} operators {row['seconds']:7.2f} s {row['megabytes']:7.1f} MB unused {row['unused']}"


def _summary(rows: dict[str, Row]) -> Row:
    good = [r for r in rows.values() if r["capture"] in WHOLE]
    built = [r for r in rows.values() if r["capture"] != "not built"]
    seconds = sorted(r["seconds"] for r in good) or [0.0]
    return {
        "models": len(rows),
        "built": len(built),
        "captured": len(good),
        "share_of_built": round(len(good) / max(len(built), 1), 4),
        "every_weight_read": sum(r["unused"] == 0 for r in good),
        "weights": sum(r["weights"] for r in good),
        "unused_weights": sum(r["unused"] for r in good),
        "opaque_operators": sum(r["opaque"] for r in good),
        "cpu_seconds_median": round(statistics.median(seconds), 3),
        "cpu_seconds_mean": round(statistics.fmean(seconds), 3),
        "cpu_seconds_max": seconds[-1],
        "megabytes_max": max((r["megabytes"] for r in good), default=0.0),
    }


def _read() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(RESULTS.read_text())
    except FileNotFoundError:
        return {}
    return found


def _store(part: str, content: Row) -> None:
    """Merge one part into the results file, with the machine and the versions that gave it."""
    versions = {}
    for package in ("torch", "torchvision", "timm", "transformers", "numpy"):
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    made = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} shared cores, no GPU, {platform.system()}",
        "python": platform.python_version(),
        "versions": versions,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    with _locked():
        results = _read()
        results[part] = {**made, **content}
        scratch = RESULTS.with_suffix(".tmp")
        scratch.write_text(_written(results))
        scratch.replace(RESULTS)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Two parts may run side by side."""
    folder = os.open(RESULTS.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _written(results: dict[str, Any]) -> str:
    """JSON with one line a model: readable, and its differences are small."""
    parts = []
    for part, content in results.items():
        models = content.get("models", {})
        lines = json.dumps({k: v for k, v in content.items() if k != "models"}, indent=1)[:-2]
        rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in models.items())
        parts.append(f"{json.dumps(part)}: {lines}" + (f',\n "models": {{\n{rows}\n }}' if models else "") + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
