"""What share of the public model libraries is captured, how long it takes, how the cost grows.

    python benchmarks/capture.py torchvision            # every model
    python benchmarks/capture.py timm                   # every name of timm.list_models()
    python benchmarks/capture.py transformers           # every class that AutoModel* reaches, from its own config
    python benchmarks/capture.py scaling                # seconds against operators: a linear fit
    python benchmarks/capture.py resnet                 # the first capture of resnet50 after the imports
    python benchmarks/capture.py large                  # `check` of a 405-billion-parameter Llama, the whole process
    python benchmarks/capture.py summary                # print what the results file holds

A run continues where the last one stopped (`--again` starts over, `--failed` tries failures again, `--seconds` stops
early, `--only` picks names). Every model has a process of its own with 60 processor seconds and 8 GB; times of the
libraries are processor seconds. Weights are not drawn: capture does not read them. Results go to
benchmarks/results/capture.json, written after every model.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import capture_cost
import capture_libraries
from capture_child import WHOLE, Row, measured, warm

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.simplefilter("ignore")

LIBRARIES = ("torchvision", "timm", "transformers")
RESULTS = Path(__file__).parent / "results" / "capture.json"


def main() -> None:
    """Run one part of the benchmark and merge it into the results file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=[*LIBRARIES, "scaling", "resnet", "large", "summary"])
    parser.add_argument("--again", action="store_true", help="forget earlier results of this part")
    parser.add_argument("--failed", action="store_true", help="try the models again that failed")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--share", default="1/1", help="of several runs side by side, which one this is (2/3)")
    parser.add_argument("--only", default="", help="names that contain this")
    options = parser.parse_args()
    if options.part == "summary":
        print(json.dumps({name: part.get("summary", part) for name, part in _read().items()}, indent=1))
    elif options.part in ("scaling", "resnet", "large"):
        row = getattr(capture_cost, options.part)()
        print(json.dumps(row, indent=1))
        _store(options.part, row)
    else:
        _library(options.part, options)


def _library(part: str, options: argparse.Namespace) -> None:
    if options.again:
        _store(part, {"models": {}})
    held: dict[str, Row] = _read().get(part, {}).get("models", {})
    until = time.monotonic() + options.seconds
    place, shares = (int(n) for n in options.share.split("/"))
    makers = list(getattr(capture_libraries, part)())[place - 1 :: shares]
    warm()
    makers.sort(key=lambda maker: held.get(maker[0], {}).get("capture") == "not built")  # those that may profit first
    for name, configurations in makers:
        wanted = (name in held and held[name]["capture"] not in WHOLE) if options.failed else name not in held
        if not wanted or options.only not in name:
            continue
        if time.monotonic() > until:
            break
        row = measured(configurations)
        print(f"{name:55s} {_line(row)}", flush=True)
        _store(part, {"models": {name: row}})
    print(json.dumps(_read().get(part, {}).get("summary", {}), indent=1))


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
    """Merge one part into the results file, with the machine and the versions that gave it.

    Models are added to those that are there, none at all empties the part; the summary is made of all of them.
    """
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
        if "models" in content:
            rows = {**results.get(part, {}).get("models", {}), **content["models"]} if content["models"] else {}
            content = {"summary": _summary(rows), "models": rows}
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
