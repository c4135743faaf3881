"""What a capture costs: against the number of operators, for resnet50, for a Llama of 405 billion parameters.

Wall-clock seconds are meaningful on a machine that does nothing else; processor seconds stand beside them.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

Row = dict[str, Any]

BLOCKS = (10, 20, 50, 100, 200, 500, 1000, 2000, 4000)
"""Residual blocks of the networks that the fit goes through."""

FITTED = 100
"""Operators from which on the exponent is fitted: below, the fixed cost of a capture is most of it."""

RUNS = 3

LLAMA_405B: dict[str, Any] = {
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


def scaling() -> Row:
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
    walls = []
    for blocks in BLOCKS:
        with torch.device("meta"):
            model = nn.Sequential(*(Block() for _ in range(blocks)))
        best, wall, operators = float("inf"), float("inf"), 0
        for _ in range(RUNS):
            gc.collect()
            start, used = time.perf_counter(), time.process_time()
            operators = len(load(model).nodes)
            best, wall = min(best, time.process_time() - used), min(wall, time.perf_counter() - start)
        points.append((operators, round(best, 4)))
        walls.append(round(wall, 4))
    count, seconds = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    slope, intercept = np.polyfit(count, seconds, 1)
    residual = seconds - (slope * count + intercept)
    large = count >= FITTED
    return {
        "operators_and_cpu_seconds": points,
        "wall_seconds": walls,
        "microseconds_per_operator": round(1e6 * float(slope), 1),
        "r_squared": round(1 - float((residual**2).sum() / ((seconds - seconds.mean()) ** 2).sum()), 5),
        "exponent": round(float(np.polyfit(np.log(count[large]), np.log(seconds[large]), 1)[0]), 3),
        "exponent_fitted_from_operators": FITTED,
    }


def resnet() -> Row:
    """The first capture of resnet50 in a fresh process, after the imports."""
    code = (
        "import time, torchvision; from initadvisor.frontends.torch_module import load;"
        "m = torchvision.models.resnet50(); t = time.perf_counter(); u = time.process_time(); load(m);"
        "print(time.perf_counter() - t, time.process_time() - u)"
    )
    command = [sys.executable, "-c", code]
    printed = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(RUNS)]
    walls, used = zip(*([float(number) for number in line.split()] for line in printed), strict=True)
    return {
        "seconds_median": round(statistics.median(walls), 3),
        "seconds_max": round(max(walls), 3),
        "cpu_seconds_median": round(statistics.median(used), 3),
        "runs": RUNS,
    }


def large() -> Row:
    """`check` of the configuration as a user calls it: a fresh process, imports and report included.

    The memory is the peak resident set of that process (`ru_maxrss`), shared libraries included.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(LLAMA_405B))
        command = [sys.executable, "-m", "initadvisor", "check", f"hf:{path}", "--output-format", "json"]
        runs = [_process(command) for _ in range(RUNS)]
    report = runs[0].pop("report")
    return {
        "coverage": report["coverage"],
        "seconds_median": round(statistics.median(r["seconds"] for r in runs), 2),
        "seconds_max": round(max(r["seconds"] for r in runs), 2),
        "cpu_seconds_median": round(statistics.median(r["cpu_seconds"] for r in runs), 2),
        "peak_resident_megabytes": max(r["megabytes"] for r in runs),
        "peak_is": "ru_maxrss of the whole process: resident, shared libraries included",
        "parameters": _parameters(),
        "runs": RUNS,
    }


def _parameters() -> int:
    """Of a model of this configuration, counted from it: embeddings, blocks, norms and an untied head."""
    width, inner = LLAMA_405B["hidden_size"], LLAMA_405B["intermediate_size"]
    heads, groups = LLAMA_405B["num_attention_heads"], LLAMA_405B["num_key_value_heads"]
    block = 2 * width * width + 2 * width * width * groups // heads + 3 * width * inner + 2 * width
    return LLAMA_405B["num_hidden_layers"] * block + 2 * LLAMA_405B["vocab_size"] * width + width


def _process(command: list[str]) -> Row:
    """Run a command to its end: wall-clock and processor seconds, peak resident memory, what it printed."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        report = json.loads(out.read())
    return {
        "report": report,
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "megabytes": used.ru_maxrss // 1024,
    }
