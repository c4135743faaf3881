"""Do the static measures of a plain stretch tell whether it trains? The check behind IA103-IA105 and IA501-IA507.

    python benchmarks/chains.py            # the whole grid, about 10 minutes on one core; resumes where it stopped
    python benchmarks/chains.py --summary  # only the table, from the rows that are there
    python benchmarks/chains.py --judge    # the rules as they are now, beside the training runs that are there

Plain networks of every activation, depth and gain below are drawn, read by `initadvisor` (the facts
`layer.stretch.gradient` and `layer.stretch.signal`), and trained on scikit-learn's handwritten digits: 300 steps,
batches of 64, SGD with momentum 0.9 at three rates and Adam at 1e-3. A case trains where any SGD rate reaches 0.9
training accuracy. The thresholds of the rules were chosen on earlier runs with ReLU, tanh, GELU and sigmoid at width
64 and seeds 0 and 1; this grid has width 96, another seed and SiLU besides, and none of it was used to choose them.
The rules on the predicted signal (`model.signal.*`) took the limits of the chain rules over; those of IA506 and IA507
were read off this grid.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sklearn
import torch
from sklearn.datasets import load_digits
from torch import nn

from initadvisor import __version__
from initadvisor.engine import Checker, CheckSettings
from initadvisor.frontends.options import LoadOptions

RESULTS = Path(__file__).parent / "results"
ROWS = RESULTS / "chains.jsonl"
SUMMARY = RESULTS / "chains.json"

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
}
GAINS: dict[str, tuple[float, ...]] = {
    "relu": (0.4, 0.58, 0.8, 1.0, 1.15, 1.41, 1.7, 2.0, 2.8),
    "tanh": (0.5, 0.58, 0.7, 0.8, 0.9, 1.0, 1.2, 1.67, 2.5),
    "gelu": (0.58, 0.8, 1.0, 1.2, 1.41, 1.53, 1.7, 2.2),
    "silu": (0.58, 1.0, 1.41, 1.68, 1.9, 2.4),
    "sigmoid": (0.58, 1.0, 2.0, 3.0, 4.0, 6.0),
}
DEPTHS = (4, 10, 30)
SEED = 7
WIDTH = 96
RATES = (0.003, 0.03, 0.3)
TRAINS_AT = 0.9


def cases() -> Iterator[dict[str, Any]]:
    """Every combination of activation, depth and gain."""
    for activation, gains in GAINS.items():
        for depth in DEPTHS:
            for gain in gains:
                yield {"activation": activation, "depth": depth, "gain": gain}


def network(activation: str, depth: int, gain: float) -> nn.Sequential:
    """`depth` linear layers drawn N(0, gain^2 / fan_in) with zero biases; the head has gain 1."""
    torch.manual_seed(SEED)
    layers: list[nn.Module] = []
    for _ in range(depth - 1):
        layers += [nn.Linear(64 if not layers else WIDTH, WIDTH), ACTIVATIONS[activation]()]
    layers.append(nn.Linear(WIDTH, 10))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            own = 1.0 if layer.out_features == 10 else gain
            nn.init.normal_(layer.weight, std=own / math.sqrt(layer.in_features))
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def measure(model: nn.Module, checker: Checker) -> dict[str, Any]:
    """What the static check says: the facts of the stretch, and the rules that fire."""
    examined = checker.examine(model, load=LoadOptions(input_shapes=((4, 64),)))
    ends = [s.facts for s in examined.view.subjects["layer"] if s.facts.get("layer.stretch.ends") is True]
    model = examined.view.subjects["model"][0].facts
    return {
        "gradient": min(float(f["layer.stretch.gradient"]) for f in ends),
        "signal": max(float(f["layer.stretch.signal"]) for f in ends),
        **{
            name: model.get(f"model.signal.{name}")
            for name in ("forward_ratio", "backward_ratio", "rms_ratio", "cosine")
        },
        "errors": sorted({f.rule for f in examined.judgement.findings if f.severity == "error"}),
        "warnings": sorted({f.rule for f in examined.judgement.findings if f.severity == "warning"}),
    }


def train(model: nn.Module, rate: float | None, steps: int = 300) -> float:
    """Training accuracy after `steps`; rate None is Adam at 1e-3. A loss that is not finite counts as 0."""
    x, y = load_digits(return_X_y=True)
    inputs = torch.tensor(x, dtype=torch.float32)
    inputs, labels = (inputs - inputs.mean()) / inputs.std(), torch.tensor(y)
    weights = list(model.parameters())
    optimizer: torch.optim.Optimizer = torch.optim.Adam(weights, 1e-3)
    if rate is not None:
        optimizer = torch.optim.SGD(weights, rate, momentum=0.9)
    order = torch.Generator().manual_seed(SEED)
    for _ in range(steps):
        batch = torch.randint(len(inputs), (64,), generator=order)
        loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
        if not torch.isfinite(loss):
            return 0.0
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return float((model(inputs).argmax(1) == labels).float().mean())


def run() -> None:
    """Measure and train every case that has no row yet."""
    checker = Checker(CheckSettings())
    done = {row["key"] for row in rows()}
    with ROWS.open("a") as file:
        for case in cases():
            key = "-".join(str(value) for value in case.values())
            if key in done:
                continue
            row = {"key": key, **case, **measure(network(**case), checker)}
            row["sgd"] = [round(train(network(**case), rate), 4) for rate in RATES]
            row["adam"] = round(train(network(**case), None), 4)
            file.write(json.dumps(row) + "\n")
            file.flush()


def judge() -> None:
    """Measure every case that has a row once more, and keep what its training gave."""
    checker = Checker(CheckSettings())
    known = {row["key"]: row for row in rows()}
    with ROWS.open("w") as file:
        for case in cases():
            row = known.get("-".join(str(value) for value in case.values()))
            if row is not None:
                file.write(json.dumps({**row, **measure(network(**case), checker)}) + "\n")


def rows() -> list[dict[str, Any]]:
    """The measured cases."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


def summarise() -> dict[str, Any]:
    """How often an error verdict was right, what it missed, and how many train in each band of the measure."""
    own = rows()
    dead = [row for row in own if max(row["sgd"]) < TRAINS_AT]
    fired = [row for row in own if row["errors"]]
    right = [row for row in fired if row in dead]
    return {
        "cases": len(own),
        "untrainable with SGD": len(dead),
        "error verdicts": len(fired),
        "precision": round(len(right) / len(fired), 4) if fired else None,
        "recall": round(len(right) / len(dead), 4) if dead else None,
        "false positive rate": round((len(fired) - len(right)) / max(len(own) - len(dead), 1), 4),
        "error verdicts that only the predicted signal gives": [
            row["key"] for row in fired if not {"IA103", "IA104"}.intersection(row["errors"])
        ],
        "cases with more than one error": sum(len(row["errors"]) > 1 for row in own),
        "error verdicts that Adam trains all the same": sum(row["adam"] >= TRAINS_AT for row in fired),
        "missed": [row["key"] for row in dead if row not in fired],
        "false alarms": [row["key"] for row in fired if row not in right],
        "trains with SGD, by layer.stretch.gradient": _bands(own, "gradient"),
        "trains with SGD, by model.signal.forward_ratio": _bands(own, "forward_ratio"),
        "trains with SGD, by model.signal.backward_ratio": _bands(own, "backward_ratio"),
    }


def _bands(own: list[dict[str, Any]], name: str) -> dict[str, str]:
    edges = [0.0, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 300.0, math.inf]
    bands = {}
    for low, high in itertools.pairwise(edges):
        inside = [row for row in own if row.get(name) is not None and low <= row[name] < high]
        if inside:
            bands[f"[{low:g}, {high:g})"] = f"{sum(max(row['sgd']) >= TRAINS_AT for row in inside)} of {len(inside)}"
    return bands


def write(path: Path, summary: dict[str, Any]) -> None:
    """Store and print a summary with where, when and with what it was made."""
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread used",
        "versions": {"initadvisor": __version__, "torch": torch.__version__, "scikit-learn": sklearn.__version__},
        "result": summary,
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def main() -> None:
    """Run the grid, then write the summary beside the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--judge", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    RESULTS.mkdir(exist_ok=True)
    if arguments.judge:
        judge()
    elif not arguments.summary:
        run()
    write(SUMMARY, summarise())


if __name__ == "__main__":
    main()
