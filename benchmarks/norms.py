"""Does the advice on batch norms at small batches help? A small CNN on scikit-learn's digits at 2 samples a batch.

    python benchmarks/norms.py            # 5 seeds, about 7 minutes on one core
    python benchmarks/norms.py --short    # one seed, fewer steps

The same network, draws, data order, rate and number of samples seen; only the norms differ, exchanged by
`initadvisor.convert_norms`. Batch norm at 32 samples is beside it as the aim. Test accuracy in evaluation mode on a
fifth of the data that was held out, mean and 95% interval (Student's t) over seeds.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import platform
import statistics
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
RATE = 0.02
KINDS = ("batch", "group", "layer", "batch-channel", "none")
T_975 = {1: math.nan, 2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""Student's t at 97.5%, by number of seeds."""


def network(seed: int) -> nn.Sequential:
    """Six convolutions with batch norms."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    width = 1
    for out, stride in ((32, 1), (32, 1), (64, 2), (64, 1), (64, 2), (64, 1)):
        layers += [nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        width = out
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    return net


def accuracy(kind: str, size: int, seed: int, samples: int) -> float:
    """Test accuracy after a run."""
    x, y = load_digits(return_X_y=True)
    images = torch.tensor(x / 8 - 1, dtype=torch.float32).reshape(-1, 1, 8, 8)
    train, test, train_y, test_y = train_test_split(
        images, torch.tensor(y), test_size=0.2, random_state=seed, stratify=y
    )
    net = network(seed)
    if kind != "batch":
        initadvisor.convert_norms(net, kind)  # type: ignore[arg-type]
    # The rate falls with the batch: as many samples move the weights as far.
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE * size / 32, momentum=0.9)
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
        return float((net(test).argmax(1) == test_y).double().mean())


def row(kind: str, size: int, seeds: int, samples: int) -> dict[str, Any]:
    """Mean and interval over seeds."""
    runs = [accuracy(kind, size, seed, samples) for seed in range(seeds)]
    half = T_975[seeds] * statistics.stdev(runs) / math.sqrt(seeds) if seeds > 1 else math.nan
    result = {
        "norm": kind,
        "batch_size": size,
        "mean": round(statistics.fmean(runs), 4),
        "half_interval": round(half, 4),
    }
    print(f"{kind:14} batch {size:3}  {result['mean']:.3f} +- {half:.3f}  {[round(r, 3) for r in runs]}", flush=True)
    return {**result, "runs": [round(run, 4) for run in runs]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    torch.set_num_threads(1)
    seeds, samples = (1, 1_000) if short else (5, SAMPLES)
    rows = [row(kind, 2, seeds, samples) for kind in KINDS]
    rows.append(row("batch", 32, seeds, samples))
    if short:
        return
    result = {
        "rows": rows,
        "samples": samples,
        "rate_at_32": RATE,
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


if __name__ == "__main__":
    main()
