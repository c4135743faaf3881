"""How long a prediction takes: behind the capture, in a process that has predicted nothing yet."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import torch
import torchvision
from torch import nn

from initadvisor.analysis.signal import propagate, read_weights
from initadvisor.frontends import torch_module
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Graph

REPEATS = 7


def captured(name: str) -> Graph:
    """resnet50, or a plain net of as many linear layers as `name` says, each with a tanh."""
    if name == "resnet50":
        return torch_module.load(torchvision.models.resnet50(), LoadOptions())
    layers: list[nn.Module] = []
    for _ in range(int(name)):
        layers += [nn.Linear(32, 32), nn.Tanh()]
    return torch_module.load(nn.Sequential(*layers), LoadOptions(example=torch.randn(2, 32)))


def timed(name: str) -> dict[str, float]:
    """Milliseconds of the first prediction in this process, and of the fastest of several.

    `cpu` is what the processor spent: on a shared machine the clock counts other people's work too.
    """
    graph = captured(name)
    weights = read_weights(graph)
    clock, cpu = [], []
    for _ in range(REPEATS):
        start, spent = time.perf_counter(), time.process_time()
        propagate(graph, weights)
        clock.append(1e3 * (time.perf_counter() - start))
        cpu.append(1e3 * (time.process_time() - spent))
    return {
        "nodes": len(graph.nodes),
        "first_ms": round(clock[0], 1),
        "first_cpu_ms": round(cpu[0], 1),
        "best_ms": round(min(clock), 1),
        "best_cpu_ms": round(min(cpu), 1),
    }


def speed() -> dict[str, dict[str, float]]:
    """resnet50, and plain nets of 125 to 2,000 layers, each in a process of its own."""
    found = {}
    for name in ("resnet50", "125", "250", "500", "1000", "2000"):
        command = [sys.executable, __file__, name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[name if name == "resnet50" else f"{name} layers"] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(timed(sys.argv[1])))
