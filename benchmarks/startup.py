"""How long the command line takes to start, beside an interpreter that does nothing.

    python benchmarks/startup.py            # writes results/startup.json
    python benchmarks/startup.py --short    # a few runs, printed only

Times are the least of several runs in fresh processes, as other work on the machine only ever adds to them; "cold" is
the first run after the byte code was deleted, so that it has to be compiled.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {"import initadvisor": 0.1, "initadvisor --help": 0.3}
"""Seconds that must not be exceeded."""

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import initadvisor": ["-c", "import initadvisor"],
    "initadvisor --help": ["-m", "initadvisor", "--help"],
    "initadvisor check --help": ["-m", "initadvisor", "check", "--help"],
    "initadvisor completion bash": ["-m", "initadvisor", "completion", "bash"],
    "initadvisor rule IA103": ["-m", "initadvisor", "rule", "IA103"],
    "import pytest": ["-c", "import pytest"],
    "import pytest and the plugin": ["-c", "import pytest, initadvisor.integrations.pytest_plugin"],
}


def seconds(args: list[str], cache: str) -> float:
    """Wall time of one process; its byte code lies in `cache`."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": cache}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    subprocess.run([sys.executable, *args], env=env, check=True, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
    return time.perf_counter() - start


def measure(runs: int) -> dict[str, dict[str, float]]:
    """Seconds and ratio to an empty interpreter for every command, and the first run with no byte code."""
    rows: dict[str, dict[str, float]] = {}
    for name, args in COMMANDS.items():
        with tempfile.TemporaryDirectory() as cache:
            cold = seconds(args, cache)
            warm = min(seconds(args, cache) for _ in range(runs))
            shutil.rmtree(cache, ignore_errors=True)
        base = rows.get("python -c pass", {}).get("seconds", warm)
        rows[name] = {"seconds": round(warm, 4), "without_byte_code": round(cold, 4), "ratio": round(warm / base, 2)}
    return rows


def main() -> None:
    """Measure, and write the result unless a short run is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    runs = 3 if short else 25
    rows = measure(runs)
    result = {
        "machine": {
            "architecture": platform.machine(),
            "processors": os.cpu_count(),
            "load_average": [round(load, 2) for load in os.getloadavg()],
            "system": platform.platform(),
            "python": platform.python_version(),
            "versions": {"click": importlib.metadata.version("click")},
            "date": datetime.date.today().isoformat(),
        },
        "what": f"seconds, least of {runs} fresh processes; ratio to an interpreter that does nothing",
        "targets": TARGETS,
        "rows": rows,
    }
    if not short:
        (ROOT / "benchmarks/results/startup.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
