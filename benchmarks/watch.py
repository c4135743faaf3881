"""What `initadvisor.watch` costs a training loop: watched steps, and the steps between them.

    python benchmarks/watch.py            # about a minute on one core
    python benchmarks/watch.py --short    # fewer rounds, prints only

The same network, batch and optimizer with and without a watch, round by round in turn, so that both see the same
machine; ratios of the medians. A step that is not watched should cost nothing that shows: 1.00 within the noise, which
is the ratio of two loops without a watch.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import initadvisor

RESULT = Path(__file__).parent / "results" / "watch.json"
BATCH = 32


def convolutions() -> tuple[nn.Module, torch.Tensor]:
    """Six convolutions with batch norms on 32x32 images."""
    layers: list[nn.Module] = []
    width = 3
    for out in (32, 32, 64, 64, 128, 128):
        layers += [nn.Conv2d(width, out, 3, 2 if out > width and width > 3 else 1, 1), nn.BatchNorm2d(out), nn.ReLU()]
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)), torch.randn(
        BATCH, 3, 32, 32
    )


def perceptron() -> tuple[nn.Module, torch.Tensor]:
    """Eight layers of 512 units."""
    layers: list[nn.Module] = []
    for _ in range(8):
        layers += [nn.Linear(512, 512), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(512, 10)), torch.randn(BATCH, 512)


class Loop:
    """One training loop that can be timed step by step."""

    def __init__(self, build: Callable[[], tuple[nn.Module, torch.Tensor]], every: int = 0) -> None:
        torch.manual_seed(0)
        self.model, self.batch = build()
        self.targets = torch.arange(BATCH) % 10
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3)
        self.watch = None
        if every:
            self.watch = initadvisor.watch(
                self.model, self.optimizer, every=every, on_finding="log", fail_on="error", example=self.batch
            )

    def step(self) -> float:
        """Seconds of one step."""
        start = time.perf_counter()
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(self.batch), self.targets).backward()
        self.optimizer.step()
        return time.perf_counter() - start


def measure(build: Callable[[], tuple[nn.Module, torch.Tensor]], rounds: int) -> dict[str, float]:
    """Ratios of the median step: between watched ones, and watched in every step."""
    bare, again, between, always = Loop(build), Loop(build), Loop(build, every=10**6), Loop(build, every=2)
    loops = {"bare": bare, "bare again": again, "between watched steps": between, "watched": always}
    for loop in loops.values():  # the first two steps are watched, and warm up the rest
        for _ in range(4):
            loop.step()
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            times[name].append(loop.step())
    median = {name: statistics.median(values) for name, values in times.items()}
    found = {f"{name} / bare": round(value / median["bare"], 3) for name, value in median.items() if name != "bare"}
    return {"bare step, ms": round(1e3 * median["bare"], 2), **found}


def main() -> None:
    """Measure, and write the result unless a short run is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    torch.set_num_threads(1)
    rows = {build.__name__: measure(build, 20 if short else 200) for build in (convolutions, perceptron)}
    print(json.dumps(rows, indent=1))
    if short:
        return
    machine = {
        "processor": platform.machine(),
        "cores": "2, shared, no GPU; one thread",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "initadvisor": initadvisor.__version__,
        "date": datetime.date.today().isoformat(),
    }
    RESULT.write_text(json.dumps({"batch_size": BATCH, "rows": rows, "machine": machine}, indent=1) + "\n")


if __name__ == "__main__":
    main()
