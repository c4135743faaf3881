"""What share of the public model libraries is captured, how long it takes, how the cost grows.

    python benchmarks/capture.py torchvision            # every model
    python benchmarks/capture.py timm                   # every name of timm.list_models()
    python benchmarks/capture.py transformers           # every class that AutoModel* reaches, from its own config
    python benchmarks/capture.py scaling                # seconds against operators: a linear fit
    python benchmarks/capture.py large                  # a 405-billion-parameter Llama, in a process of its own
    python benchmarks/capture.py summary                # print what the results file holds

A run continues where the last one stopped (`--again` starts over, `--seconds` stops early, `--only` picks names).
Results go to benchmarks/results/capture.json. Weights are not drawn: capture does not read them.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import inspect
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.simplefilter("ignore")

RESULTS = Path(__file__).parent / "results" / "capture.json"
LIMIT = 150
"""Seconds for one model, building included."""

WHOLE = ("virtual", "parts")
"""Steps of the ladder that record every operator; "parts" is for containers without a forward pass of their own."""

Row = dict[str, Any]


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
    held = _read().get(part, {})
    rows: dict[str, Row] = {} if options.again else held.get("models", {})
    if options.failed:
        rows = {name: row for name, row in rows.items() if row["capture"] in WHOLE}
    until = time.monotonic() + options.seconds
    makers = {"torchvision": _torchvision, "timm": _timm, "transformers": _transformers}[part]()
    seen = 0
    for name, configurations in makers:
        seen += 1
        if name in rows or options.only not in name:
            continue
        if time.monotonic() > until:
            break
        rows[name] = _measured(configurations)
        print(f"{name:55s} {_line(rows[name])}", flush=True)
        if len(rows) % 10 == 0:
            _store(part, {"models": rows, "summary": _summary(rows)})
    _store(part, {"models": rows, "summary": _summary(rows)})
    print(json.dumps(_summary(rows), indent=1))


def _measured(configurations: Iterator[Callable[[], Any]]) -> Row:
    """Build and capture one model; the first configuration that can be recorded counts."""
    from initadvisor.frontends.torch_module import load
    from initadvisor.frontends.torch_module.building import Weightless

    row: Row = {"capture": "none", "error": "there is no configuration to build it from"}
    with _alarm():
        try:
            for build in configurations:
                gc.collect()
                try:
                    with Weightless(), contextlib.redirect_stdout(sys.stderr):
                        module = build()
                except Exception as error:
                    row = {"capture": "not built", "error": f"{type(error).__name__}: {error}"[:200].replace("\n", " ")}
                    continue
                before = _resident(reset=True)
                start = time.perf_counter()
                with contextlib.redirect_stdout(sys.stderr):
                    graph = load(module)
                row = _row(graph, time.perf_counter() - start, _resident() - before)
                if graph.coverage.capture in WHOLE:
                    break
        except TimeoutError:
            row = {"capture": "timeout", "error": f"more than {LIMIT} s"}
        except Exception as error:
            row = {"capture": "crash", "error": f"{type(error).__name__}: {error}"[:200]}
    return row


def _row(graph: Any, seconds: float, megabytes: float) -> Row:
    used = {v.parameter for v in graph.values if v.parameter}
    weights = [p for p in graph.parameters.values() if p.is_float and not p.buffer]
    row: Row = {
        "capture": graph.coverage.capture,
        "operators": len(graph.nodes),
        "weights": len(weights),
        "unused": sum(p.name not in used for p in weights),
        "opaque": sum(graph.coverage.opaque.values()),
        "guesses": sum(e.kind in ("guess", "kernel") for e in graph.events),
        "seconds": round(seconds, 3),
        "megabytes": round(megabytes, 1),
    }
    if graph.coverage.capture not in WHOLE:
        row["error"] = " | ".join(n[:160] for n in graph.coverage.notes[:2])
    return row


def _torchvision() -> Iterator[tuple[str, Iterator[Callable[[], Any]]]]:
    from torchvision import models

    def build(name: str) -> Any:
        known = inspect.signature(models.get_model_builder(name)).parameters
        return models.get_model(name, **{k: None for k in ("weights", "weights_backbone") if k in known})

    for name in models.list_models():
        yield name, iter([lambda name=name: build(name)])


def _timm() -> Iterator[tuple[str, Iterator[Callable[[], Any]]]]:
    import timm

    for name in timm.list_models():
        yield name, iter([lambda name=name: timm.create_model(name)])


def _transformers() -> Iterator[tuple[str, Iterator[Callable[[], Any]]]]:
    import transformers
    from transformers.models.auto import modeling_auto

    seen = set()
    tables = [n for n in dir(modeling_auto) if n.startswith("MODEL_") and n.endswith("_NAMES")]
    for table in sorted(tables, key=lambda n: (n != "MODEL_MAPPING_NAMES", n)):
        for kind, names in getattr(modeling_auto, table).items():
            for name in [names] if isinstance(names, str) else names:
                if name not in seen:
                    seen.add(name)
                    yield f"{kind}/{name}", _configured(transformers, kind, name)


RECIPES: dict[str, dict[str, Any]] = {}
"""Model type -> settings without which its configuration class does not describe a model."""


def _configured(transformers: Any, kind: str, name: str) -> Iterator[Callable[[], Any]]:
    """The class on two layers where its configuration has such a setting, else on its defaults."""
    try:
        model = getattr(transformers, name)
        config = model.config_class
    except Exception as error:
        message = str(error)

        def missing() -> Any:
            raise ImportError(message)

        yield missing
        return
    recipe = RECIPES.get(kind, {})
    for short in ({"num_hidden_layers": 2}, {"num_layers": 2}, {"n_layer": 2}, {}):
        known = {*inspect.signature(config.__init__).parameters, *getattr(config, "__dataclass_fields__", ())}
        if all(setting in known for setting in short):
            yield lambda short=short: model(config(**{**short, **recipe}))


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


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def ring(number: int, frame: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)


def _resident(reset: bool = False) -> float:
    """Peak resident megabytes since the last reset (Linux)."""
    if reset:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


def _line(row: Row) -> str:
    if "error" in row:
        return f"{row['capture']}: {row['error']}"
    return f"{row['operators']:6d} operators {row['seconds']:7.2f} s {row['megabytes']:7.1f} MB unused {row['unused']}"


def _summary(rows: dict[str, Row]) -> Row:
    import statistics

    good = [r for r in rows.values() if r["capture"] in WHOLE]
    built = [r for r in rows.values() if r["capture"] not in ("not built", "none")]
    seconds = sorted(r["seconds"] for r in good) or [0.0]
    return {
        "models": len(rows),
        "built": len(built),
        "captured": len(good),
        "share_of_built": round(len(good) / max(len(built), 1), 4),
        "weights": sum(r["weights"] for r in good),
        "unused_weights": sum(r["unused"] for r in good),
        "opaque_operators": sum(r["opaque"] for r in good),
        "seconds_median": round(statistics.median(seconds), 3),
        "seconds_mean": round(statistics.fmean(seconds), 3),
        "seconds_max": seconds[-1],
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
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for package in ("torch", "torchvision", "timm", "transformers", "numpy"):
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    made = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "versions": versions,
    }
    results = _read()
    results[part] = {**made, **content}
    RESULTS.parent.mkdir(exist_ok=True)
    scratch = RESULTS.with_suffix(".tmp")
    text = json.dumps(results, indent=1)
    # One line a model keeps the file readable and its differences small.
    text = _compact(text)
    scratch.write_text(text)
    scratch.replace(RESULTS)


def _compact(text: str) -> str:
    import re

    return (
        re.sub(r"\{\n\s+(\"capture\"[^{}]*)\n\s+\}", lambda m: "{" + re.sub(r"\n\s+", " ", m.group(1)) + "}", text)
        + "\n"
    )


if __name__ == "__main__":
    main()
