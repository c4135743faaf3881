"""He against Xavier and the PyTorch default on ReLU networks: test accuracy, and steps to 90% of it.

    python benchmarks/relu_digits.py            # what is not stored yet, into benchmarks/results/relu_digits.json
    python benchmarks/relu_digits.py --seconds 240   # for four minutes; run again to go on
    python benchmarks/relu_digits.py --short    # depth 20, one seed, a fifth of the steps, prints only

Plain ReLU networks of 2, 10, 20 and 30 hidden layers of 128 units on scikit-learn's digits (1,347 to train on, 450 to
test), SGD with momentum 0.9, batches of 64, cosine decay to zero. Pixels are standardised over the training part, and
every batch gets Gaussian noise of half their standard deviation, against overfitting.

One rate for all three inits of a depth: that of the best accuracy on the training part, averaged over the inits and
seeds, so that none is favoured. The best rate of each init by itself (by the same accuracy) is beside it.
The target: He reaches 98% and gets to 90% in fewer steps than the others at depth 20 and more.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from conditions import trained
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

RESULTS = Path(__file__).parent / "results" / "relu_digits.json"
DEPTHS = (2, 10, 20, 30)
INITS = ("He", "Xavier", "PyTorch default")
RATES = (0.001, 0.003, 0.01, 0.03)
SEEDS = (0, 1, 2)
WIDTH, BATCH, STEPS, NOISE = 128, 64, 1500, 0.5
LOOK = 20
"""The test accuracy is taken after every so many steps."""

Row = dict[str, Any]


def network(depth: int, init: str) -> nn.Sequential:
    """`depth` hidden layers and a head; He and Xavier draw from normal distributions, with zero biases."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(64 if i == 0 else WIDTH, WIDTH), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(WIDTH, 10))
    for layer in model:
        if isinstance(layer, nn.Linear) and init != "PyTorch default":
            nn.init.kaiming_normal_(layer.weight) if init == "He" else nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


def digits() -> tuple[torch.Tensor, ...]:
    """(train inputs, train labels, test inputs, test labels)."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = torch.tensor(x[order], dtype=torch.float32), torch.tensor(y[order])
    x = (x - x[:1347].mean()) / x[:1347].std()
    return x[:1347], y[:1347], x[1347:], y[1347:]


def run(depth: int, init: str, rate: float, seed: int, steps: int = STEPS) -> Row:
    """Train one network. to_90: steps until its test accuracy first is 90%, None where it never is."""
    x, y, test_x, test_y = digits()
    torch.manual_seed(seed)
    model = network(depth, init)
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    reached = None
    for step in range(1, steps + 1):
        pick = torch.randint(0, len(x), (BATCH,))
        loss = F.cross_entropy(model(x[pick] + NOISE * torch.randn(BATCH, 64)), y[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if reached is None and step % LOOK == 0 and accuracy(model, test_x, test_y) >= 0.9:
            reached = step
    return {
        "test": round(accuracy(model, test_x, test_y), 4),
        "train": round(accuracy(model, x, y), 4),
        "to_90": reached,
    }


@torch.no_grad()
def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of right answers; 0 for outputs that are not finite."""
    output = model(x)
    return float((output.argmax(1) == y).double().mean()) if bool(torch.isfinite(output).all()) else 0.0


def table(runs: dict[str, Row]) -> list[Row]:
    """A line for each depth and init that has run at all rates."""
    lines = []
    for depth in DEPTHS:
        known = {
            (init, rate): [runs[k] for s in SEEDS if (k := key(depth, init, rate, s)) in runs]
            for init in INITS
            for rate in RATES
        }
        if any(len(own) < len(SEEDS) for own in known.values()):
            continue
        common = max(RATES, key=lambda rate: mean(row["train"] for init in INITS for row in known[init, rate]))
        for init in INITS:
            best = max(RATES, key=lambda rate: mean(row["train"] for row in known[init, rate]))
            lines.append(
                {
                    "depth": depth,
                    "init": init,
                    f"rate {common:g}, the same for all": figures(known[init, common]),
                    f"its own best rate {best:g}": figures(known[init, best]),
                }
            )
    return lines


def figures(rows: list[Row]) -> Row:
    """Over the seeds: accuracy, its deviation, steps to 90% (None for a seed that never got there)."""
    tests = [row["test"] for row in rows]
    return {"test": round(mean(tests), 4), "sd": round(stdev(tests), 4), "to_90": [row["to_90"] for row in rows]}


def key(depth: int, init: str, rate: float, seed: int) -> str:
    """The name of a run in the results."""
    return f"{depth} {init} {rate:g} {seed}"


def write(runs: dict[str, Row]) -> None:
    """The whole file: the table first."""
    found = {
        **trained(numpy=np.__version__),
        "setting": {"width": WIDTH, "batch": BATCH, "steps": STEPS, "noise": NOISE, "rates": RATES, "seeds": SEEDS},
        "table": table(runs),
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="depth 20, one seed, a fifth of the steps, prints only")
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.short:
        for init in INITS:
            print(init, run(20, init, 0.003, 0, STEPS // 5))
        return
    runs: dict[str, Row] = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else {}
    until = time.monotonic() + options.seconds
    todo = [(d, i, r, s) for s in SEEDS for d in DEPTHS for r in RATES for i in INITS]
    for depth, init, rate, seed in todo:
        if key(depth, init, rate, seed) in runs:
            continue
        if time.monotonic() > until:
            break
        runs[key(depth, init, rate, seed)] = found = run(depth, init, rate, seed)
        print(key(depth, init, rate, seed), found, flush=True)
        write(runs)
    write(runs)
    for line in table(runs):
        print(line)


if __name__ == "__main__":
    main()
