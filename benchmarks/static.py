"""How fast a static check is: a cold `initadvisor check` of an ONNX file, and the facts of a 4 GB model.

    python benchmarks/static.py            # resnet50 and a 4.3 GB model; writes benchmarks/results/static.json
    python benchmarks/static.py --short    # resnet18 and 270 MB, few rounds; prints only

1. `initadvisor check model.onnx` as a whole process against
   `python -c "import onnx; onnx.checker.check_model(onnx.load(f))"`; goal: at most twice its time.
2. The facts of every tensor of a model with external data, in GB/s, against one `numpy.sum` over the same file mapped
   into memory; goal: at least half of it, and a peak of 300 MB. Each runs in a process of its own, as a user has it.

The contestants run in turn, several rounds; a ratio is the median over the rounds of the ratio within a round, so
that a busy machine slows both sides alike. Files are in the page cache: the first round is not counted.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from conditions import cpu
from onnx import TensorProto, helper

RESULTS = Path(__file__).parent / "results" / "static.json"
ROOT = Path(__file__).parent.parent

CHECK = "import sys, onnx; onnx.checker.check_model(onnx.load(sys.argv[1]))"

SUM = """
import sys, time, numpy
start = time.perf_counter()
numpy.memmap(sys.argv[1], "float32", "r").sum()
print(time.perf_counter() - start, 0)
"""

FACTS = """
import sys, time
from initadvisor.analysis.structure import describe
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends.onnx_model import load
from initadvisor.frontends.options import LoadOptions
graph = describe(load(sys.argv[1], LoadOptions()))
start = time.perf_counter()
facts = tensor_facts(graph)
seconds = time.perf_counter() - start
assert sum(fact.count for fact in facts.values()) * 4 >= int(sys.argv[2])
assert all(fact.std is not None for fact in facts.values())
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(seconds, peak / 1e3)
"""


def export(name: str, folder: Path) -> Path:
    """A torchvision model at its own random start, as its users export it."""
    import torch
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    path = folder / f"{name}.onnx"
    torch.onnx.export(model, (torch.zeros(1, 3, 224, 224),), str(path), dynamo=False)
    return path


def external(folder: Path, layers: int, width: int) -> tuple[Path, Path]:
    """A perceptron of width x width matrices with its weights in one external file."""
    model, data = folder / "wide.onnx", folder / "wide.bin"
    block = np.random.default_rng(0).standard_normal((width, width), dtype=np.float32)
    initializers, nodes, offset, value = [], [], 0, "x"
    with data.open("wb") as handle:
        for layer in range(layers):
            # Another permutation of the rows of one draw: as random, and cheap to make.
            weight = np.roll(block, 37 * layer, axis=0) * np.float32((2 / width) ** 0.5)
            bias = np.zeros(width, np.float32)
            for name, array in ((f"w{layer}", weight), (f"b{layer}", bias)):
                handle.write(array.tobytes())
                proto = TensorProto(name=name, dims=array.shape, data_type=TensorProto.FLOAT)
                proto.data_location = TensorProto.EXTERNAL
                for key, entry in (("location", data.name), ("offset", offset), ("length", array.nbytes)):
                    proto.external_data.add(key=key, value=str(entry))
                initializers.append(proto)
                offset += array.nbytes
            nodes += [
                helper.make_node("MatMul", [value, f"w{layer}"], [f"m{layer}"]),
                helper.make_node("Add", [f"m{layer}", f"b{layer}"], [f"a{layer}"]),
                helper.make_node("Relu", [f"a{layer}"], [f"r{layer}"]),
            ]
            value = f"r{layer}"
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, width]) for n in ("x", value)]
    graph = helper.make_graph(nodes, "wide", ends[:1], ends[1:], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), model)
    return model, data


def cold(path: Path, rounds: int) -> dict[str, Any]:
    """Wall seconds of both processes, start to end."""
    ours = [sys.executable, "-m", "initadvisor", "check", str(path), "--exit-zero"]
    theirs = [sys.executable, "-c", CHECK, str(path)]
    pairs = [(_wall(ours), _wall(theirs)) for _ in range(rounds + 1)][1:]
    return {
        "model": path.name,
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "initadvisor_seconds": _median(ours for ours, _ in pairs),
        "onnx_checker_seconds": _median(theirs for _, theirs in pairs),
        "ratio": _median(ours / theirs for ours, theirs in pairs),
        "goal": "at most 2",
    }


def streaming(folder: Path, layers: int, width: int, rounds: int) -> dict[str, Any]:
    """GB/s of the facts and of a plain sum over the same mapped file."""
    model, data = external(folder, layers, width)
    size = data.stat().st_size
    runs = []
    for _ in range(rounds + 1):
        plain = _timed([sys.executable, "-c", SUM, str(data)])
        facts = _timed([sys.executable, "-c", FACTS, str(model), str(size)])
        runs.append((plain, facts))
    runs = runs[1:]
    return {
        "gigabytes": round(size / 1e9, 2),
        "tensors": 2 * layers,
        "facts_gb_per_second": _median(size / 1e9 / facts[0] for _, facts in runs),
        "numpy_sum_gb_per_second": _median(size / 1e9 / plain[0] for plain, _ in runs),
        "ratio": _median(plain[0] / facts[0] for plain, facts in runs),
        "peak_megabytes": _median(facts[1] for _, facts in runs),
        "goal": "ratio at least 0.5, peak below 300",
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpu": cpu(),
        "processors": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "onnx", "torch", "torchvision")},
        "date": datetime.date.today().isoformat(),
    }


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def _wall(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environment())
    return time.perf_counter() - start


def _timed(command: list[str]) -> tuple[float, float]:
    """Seconds and peak megabytes as the process itself reports them."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=_environment())
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def _median(values: Any) -> float:
    return round(statistics.median(values), 3)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print its JSON; the full form also writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="small models, few rounds, write nothing")
    parser.add_argument("--folder", type=Path, help="where to put the models (4.3 GB); a temporary folder if not given")
    options = parser.parse_args(argv)
    steps: dict[str, Callable[[Path], dict[str, Any]]] = {
        "cold_check": lambda folder: cold(
            export("resnet18" if options.short else "resnet50", folder), 3 if options.short else 11
        ),
        "tensor_facts": lambda folder: streaming(folder, *((16, 2048, 3) if options.short else (64, 4096, 7))),
    }
    report: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name, step in steps.items():
            report[name] = step(Path(folder))
            print(json.dumps({name: report[name]}), flush=True)
    if not options.short:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
