"""How grave is a fault in one layer? The check behind the severities of IA003 to IA006, IA101, IA102 and IA114.

    python benchmarks/severity.py            # the whole grid, about 15 minutes on one core; resumes where it stopped
    python benchmarks/severity.py --summary  # only the table, from the rows that are there

Plain networks of three activations and two depths start at the gain that keeps their signal; one fault is planted in
the middle. Each is read by `initadvisor` and trained on scikit-learn's handwritten digits as in `chains.py`: 300 steps,
SGD with momentum 0.9 at three rates and Adam at 1e-3. A case trains where any SGD rate reaches 0.9 training accuracy.
A fault that trains all the same deserves a warning; one that does not, an error. The severities were chosen on seeds 0
and 1 at width 64; this grid has width 96 and another seed. One rule was widened after this table: IA303, which knew
ReLU only, to GELU and tanh; its rows are not independent of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from initadvisor.engine import Checker, CheckSettings
from initadvisor.frontends.options import LoadOptions

sys.path.insert(0, str(Path(__file__).parent))

from chains import RATES, TRAINS_AT, network, train, write

RESULTS = Path(__file__).parent / "results"
ROWS = RESULTS / "severity.jsonl"
SUMMARY = RESULTS / "severity.json"

GAINS = {"relu": 1.4142, "tanh": 1.2, "gelu": 1.53}
DEPTHS = (4, 10)


def scaled(factor: float) -> Callable[[list[nn.Linear]], None]:
    """One weight times a factor."""
    return lambda layers: _middle(layers).weight.mul_(factor)


def filled(*values: float) -> Callable[[list[nn.Linear]], None]:
    """Neighbouring layers, each holding one value throughout."""

    def plant(layers: list[nn.Linear]) -> None:
        first = len(layers) // 2
        for layer, value in zip(layers[first - len(values) // 2 :], values, strict=False):
            layer.weight.fill_(value)

    return plant


def repeated(share: float) -> Callable[[list[nn.Linear]], None]:
    """This share of a layer's units equal to its first one."""

    def plant(layers: list[nn.Linear]) -> None:
        weight = _middle(layers).weight
        weight[: int(share * len(weight))] = weight[0].clone()

    return plant


def low_rank(rank: int) -> Callable[[list[nn.Linear]], None]:
    """A weight of the same spread and only `rank` dimensions."""

    def plant(layers: list[nn.Linear]) -> None:
        weight = _middle(layers).weight
        drawn = torch.randn(len(weight), rank) @ torch.randn(rank, weight.shape[1])
        weight.copy_(drawn * weight.std() / drawn.std())

    return plant


def biased(value: float) -> Callable[[list[nn.Linear]], None]:
    """One bias filled with a value."""
    return lambda layers: _middle(layers).bias.fill_(value)


def positive(layers: list[nn.Linear]) -> None:
    """A weight drawn from U(0, 0.1), as torch.rand leaves it."""
    weight = _middle(layers).weight
    weight.copy_(torch.rand_like(weight) * 0.1)


FAULTS: dict[str, Callable[[list[nn.Linear]], Any]] = {
    "none": lambda layers: None,
    **{f"weight x{f:g}": scaled(f) for f in (1e-4, 1e-2, 0.1, 0.2, 5.0, 10.0, 30.0, 100.0, 1000.0)},
    "zeros": filled(0.0),
    "zeros in two": filled(0.0, 0.0),
    "constant 0.01": filled(0.01),
    "constant 0.05": filled(0.05),
    "constant 0.02 in two": filled(0.02, 0.02),
    "all units equal": repeated(1.0),
    "90% of units equal": repeated(0.9),
    "25% of units equal": repeated(0.25),
    "rank 2": low_rank(2),
    "rank 8": low_rank(8),
    "uniform (0, 0.1)": positive,
    "bias -10": biased(-10.0),
    "bias -5": biased(-5.0),
    "bias 3": biased(3.0),
}


def _middle(layers: list[nn.Linear]) -> nn.Linear:
    return layers[len(layers) // 2]


def faulty(activation: str, depth: int, fault: str) -> nn.Sequential:
    """The network with its fault planted."""
    model = network(activation, depth, GAINS[activation])
    with torch.no_grad():
        FAULTS[fault]([part for part in model if isinstance(part, nn.Linear)])
    return model


def cases() -> Iterator[dict[str, Any]]:
    """Every combination of activation, depth and fault."""
    for activation in GAINS:
        for depth in DEPTHS:
            for fault in FAULTS:
                yield {"activation": activation, "depth": depth, "fault": fault}


def run() -> None:
    """Check and train every case that has no row yet."""
    checker = Checker(CheckSettings(load=LoadOptions(input_shapes=((4, 64),))))
    done = {row["key"] for row in rows()}
    with ROWS.open("a") as file:
        for case in cases():
            key = "-".join(str(value) for value in case.values())
            if key in done:
                continue
            findings = checker.check(faulty(**case)).findings
            said = {level: sorted({f.rule for f in findings if f.severity == level}) for level in ("error", "warning")}
            row = {"key": key, **case, **said}
            row["sgd"] = [round(train(faulty(**case), rate), 4) for rate in RATES]
            row["adam"] = round(train(faulty(**case), None), 4)
            file.write(json.dumps(row) + "\n")
            file.flush()


def rows() -> list[dict[str, Any]]:
    """The measured cases."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


def summarise() -> dict[str, Any]:
    """By fault: how many train, and what was said; over all: how often an error verdict was right."""
    groups: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows():
        groups[row["fault"]].append(row)
    table = {}
    for fault, own in groups.items():
        table[fault] = {
            "cases": len(own),
            "train with SGD": sum(max(row["sgd"]) >= TRAINS_AT for row in own),
            "train with Adam": sum(row["adam"] >= TRAINS_AT for row in own),
            "errors": _tally(own, "error"),
            "warnings": _tally(own, "warning"),
        }
    fired = [row for row in rows() if row["error"]]
    dead = [row for row in rows() if max(row["sgd"]) < TRAINS_AT]
    right = [row for row in fired if row in dead]
    return {
        "by fault": table,
        "cases": len(rows()),
        "untrainable with SGD": len(dead),
        "error verdicts": len(fired),
        "precision": round(len(right) / len(fired), 4) if fired else None,
        "recall": round(len(right) / len(dead), 4) if dead else None,
        "false alarms": [row["key"] for row in fired if row not in right],
        "missed": [row["key"] for row in dead if row not in fired],
    }


def _tally(own: list[dict[str, Any]], level: str) -> dict[str, int]:
    named = sorted({rule for row in own for rule in row[level]})
    return {rule: sum(rule in row[level] for row in own) for rule in named}


def main() -> None:
    """Run the grid, then write the summary beside the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    RESULTS.mkdir(exist_ok=True)
    if not arguments.summary:
        run()
    write(SUMMARY, summarise())


if __name__ == "__main__":
    main()
