"""Does the advice on batch norms at small batches help? Small CNNs on scikit-learn's digits at 2 samples a batch.

    python benchmarks/norms.py            # about 20 minutes on one core; goes on where it stopped
    python benchmarks/norms.py --short    # one seed, fewer steps

Two networks: six convolutions, whose last norms still see 8 values a channel at 2 samples; and three with a fully
connected layer behind them, whose norm sees 2. Ten seeds, two rates. The same network, draws, data order, rate and
number of samples seen; only the norms differ, exchanged by `initadvisor.convert_norms`. Batch norm at 32 samples is
beside it as the aim. Accuracy and cross-entropy in evaluation mode on a fifth of the data that was held out: means
with 95% intervals (Student's t) over seeds, and the difference from batch norm at 2 samples seed by seed, where the
draws and the order of the data are the same.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import math
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import initadvisor

RESULT = Path(__file__).parent / "results" / "norms.json"
SAMPLES = 2_000
SEEDS = 10
RATES = (0.02, 0.08)
"""Of SGD with momentum .9 at 32 samples; at 2 samples a sixteenth, so that as many samples move weights as far."""

CASES = (*((kind, 2) for kind in ("batch", "group", "layer", "batch-channel", "ws")), ("batch", 32))
T_975 = {9: 2.262}
"""Student's t at 97.5%, by degrees of freedom."""


NETWORKS = {
    "convolutions": ((32, 1), (32, 1), (64, 2), (64, 1), (64, 2), (64, 1)),
    "convolutions and a dense layer": ((32, 1), (64, 2), (64, 2)),
}
"""Channels and strides; the second is followed by a dense layer of 128 units with a norm of its own."""


def network(name: str, seed: int) -> nn.Sequential:
    """One of the networks, with batch norms."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    width = 1
    for out, stride in NETWORKS[name]:
        layers += [nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        width = out
    if name == "convolutions":
        end: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
    else:
        dense = nn.Linear(width * 4, 128, bias=False)
        end = [nn.Flatten(), dense, nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 10)]
    net = nn.Sequential(*layers, *end)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    return net


def run(name: str, kind: str, size: int, rate: float, seed: int, samples: int) -> tuple[float, float]:
    """(accuracy, cross-entropy) on the held-out samples after a run."""
    x, y = load_digits(return_X_y=True)
    images = torch.tensor(x / 8 - 1, dtype=torch.float32).reshape(-1, 1, 8, 8)
    train, test, train_y, test_y = train_test_split(
        images, torch.tensor(y), test_size=0.2, random_state=seed, stratify=y
    )
    net = network(name, seed)
    if kind != "batch":
        initadvisor.convert_norms(net, kind)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD(net.parameters(), lr=rate * size / 32, momentum=0.9)
    order = torch.Generator().manual_seed(seed)
    seen = 0
    net.train()
    while seen < samples:
        for index in torch.randperm(len(train), generator=order).split(size):
            if len(index) < size or seen >= samples:
                break
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(train[index]), train_y[index]).backward()
            optimizer.step()
            seen += size
    net.eval()
    with torch.no_grad():
        logits = net(test)
        loss = float(nn.functional.cross_entropy(logits.double(), test_y))
        return float((logits.argmax(1) == test_y).double().mean()), loss


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean and half of the 95% interval."""
    if len(values) < 2:
        return {"mean": round(values[0], 4), "half_interval": math.nan}
    half = T_975[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": round(statistics.fmean(values), 4), "half_interval": round(half, 4)}


def row(name: str, kind: str, size: int, rate: float, seeds: int, samples: int) -> dict[str, Any]:
    """The runs of one line of the table."""
    runs = [run(name, kind, size, rate, seed, samples) for seed in range(seeds)]
    return {
        "network": name,
        "norm": kind,
        "batch_size": size,
        "rate_at_32": rate,
        "accuracies": [round(accuracy, 4) for accuracy, _ in runs],
        "losses": [round(loss, 4) for _, loss in runs],
    }


def summed(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The table with means, and differences from batch norm at 2 samples and the same rate, seed by seed."""
    made = []
    for each in rows:
        same = [r for r in rows if (r["network"], r["rate_at_32"]) == (each["network"], each["rate_at_32"])]
        base = next(r for r in same if (r["norm"], r["batch_size"]) == ("batch", 2))
        line = {**each, "accuracy": interval(each["accuracies"]), "loss": interval(each["losses"])}
        if each is not base:
            for name, key in (("accuracy", "accuracies"), ("loss", "losses")):
                gaps = [a - b for a, b in zip(each[key], base[key], strict=True)]
                line[f"{name}_against_batch_at_2"] = interval(gaps)
        made.append(line)
        print(
            f"{each['network']:30} {each['norm']:14} batch {each['batch_size']:3} rate {each['rate_at_32']:<5}"
            f"  accuracy {line['accuracy']}  loss {line['loss']}"
            f"  against batch norm at 2: {line.get('accuracy_against_batch_at_2', '')}"
            f" {line.get('loss_against_batch_at_2', '')}"
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    torch.set_num_threads(1)
    if short:
        summed([row(name, *each, RATES[0], 1, 1_000) for name in NETWORKS for each in CASES])
        return
    part = RESULT.with_suffix(".jsonl")
    rows = [json.loads(line) for line in part.read_text().splitlines()] if part.exists() else []
    done = {(r["network"], r["norm"], r["batch_size"], r["rate_at_32"]) for r in rows}
    for name, rate, (kind, size) in itertools.product(NETWORKS, RATES, CASES):
        if (name, kind, size, rate) not in done:
            rows.append(row(name, kind, size, rate, SEEDS, SAMPLES))
            with part.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    result = {
        "rows": summed(rows),
        "samples": SAMPLES,
        "date": datetime.date.today().isoformat(),
        "machine": {
            "processor": platform.machine(),
            "cores": "2, shared, no GPU",
            "python": platform.python_version(),
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
            "initadvisor": initadvisor.__version__,
        },
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    part.unlink()


if __name__ == "__main__":
    main()
