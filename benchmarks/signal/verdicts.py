"""What is said of a plain stack, "explodes", "vanishes" or neither, predicted and measured in float64."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from typing import Any

from compare import TINY, compared, predicted
from measure import measured
from models import CNN_DEPTH, MLP_DEPTH, Case

from initadvisor.analysis.signal import Propagation
from initadvisor.graph import Graph

EXPLODES, VANISHES = 1e3, 1e-3
"""Ratio of the last to the first layer, and of the first to the last gradient, from which a stack is judged."""
MARGIN = 1.25
"""A prediction this close to a threshold gives no verdict: it is within the goal for a gradient."""
SEEDS = 3


def verdict(ratio: float, margin: float = 1.0) -> str:
    """What a ratio says."""
    return "explodes" if ratio > EXPLODES * margin else "vanishes" if ratio < VANISHES / margin else "neither"


def judged(case: Case) -> dict[str, Any]:
    """The comparison of one draw, and the verdicts against the mean of several draws."""
    graph, run, read_ms, predict_ms = predicted(case)
    draws = [measured(case, seed) for seed in range(SEEDS)]
    found = compared(case.name, graph, run, draws[0], read_ms, predict_ms)
    depth = MLP_DEPTH if case.name.startswith("mlp") else CNN_DEPTH
    first, last = "0", str(2 * (depth - 1))
    sums: dict[str, list[float]] = defaultdict(list)
    for real in draws:
        for name in (first, last):
            sums[name].append(real["outputs"][f"{name}#0"])
            sums[f"{name}.weight"].append(real["gradients"][f"{name}.weight"])
    mean = {name: statistics.fmean(values) for name, values in sums.items()}
    pairs = {
        "forward": (_forward(graph, run, first, last), _ratio(mean[last], mean[first])),
        "backward": (_backward(graph, run, first, last), _ratio(mean[f"{first}.weight"], mean[f"{last}.weight"])),
    }
    rows = [
        {
            "stack": case.name,
            "direction": direction,
            "predicted": float(f"{guess:.4g}"),
            "measured": float(f"{real:.4g}"),
            "predicted_verdict": verdict(guess, MARGIN),
            "measured_verdict": verdict(real),
        }
        for direction, (guess, real) in pairs.items()
    ]
    return {**found.row(), "ratios": found.ratios(), "verdicts": rows}


def _ratio(numerator: float, denominator: float) -> float:
    """The root of a ratio; nan, for which no verdict is given, where nothing is left to compare with."""
    return math.sqrt(numerator / denominator) if denominator > TINY else math.nan


def _forward(graph: Graph, run: Propagation, first: str, last: str) -> float:
    nodes = {node.scope: node for node in graph.nodes}
    a, b = (run.forward[nodes[name].outputs[0]] for name in (first, last))
    return _ratio(b.variance, a.variance) if a is not None and b is not None else math.nan


def _backward(graph: Graph, run: Propagation, first: str, last: str) -> float:
    values = {v.parameter: v.id for v in graph.values if v.kind == "parameter"}
    a, b = (run.backward[values[f"{name}.weight"]] for name in (first, last))
    return _ratio(a.q, b.q) if a is not None and b is not None else math.nan


def wrong(row: dict[str, Any]) -> bool:
    """Whether a verdict that was given is not what was measured."""
    return bool(row["predicted_verdict"] not in ("neither", row["measured_verdict"]))


def missed(row: dict[str, Any]) -> bool:
    """Whether a measured explosion or loss got no verdict."""
    return bool(row["predicted_verdict"] == "neither" != row["measured_verdict"])
