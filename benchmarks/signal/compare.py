"""Predicted against measured, layer by layer."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from measure import Measured, drawn, measured
from models import Case

from initadvisor.analysis.signal import Propagation, propagate, read_weights
from initadvisor.frontends import torch_module
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Graph

Entry = tuple[str, str, float]
"""Layer, operator, predicted over measured."""
TINY = 1e-60
"""Squares below this say nothing: their ratios compare how fast two numbers underflow."""
GOALS = {"activation_std": (0.10, 2.0), "weight_gradient_norm": (0.25, 3.0)}
"""Relative error in the median, and the factor at the 95th percentile."""


@dataclass
class Comparison:
    """Ratios of predicted to measured root mean squares."""

    name: str
    nodes: int = 0
    read_ms: float = 0.0
    predict_ms: float = 0.0
    activations: list[Entry] = field(default_factory=list)
    gradients: list[Entry] = field(default_factory=list)
    other_gradients: list[Entry] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    zeros: Counter[str] = field(default_factory=Counter)
    measured_s: float = 0.0

    def comparable(self, real: float, guess: float) -> bool:
        """Whether both are numbers that have a ratio; else which of them is zero or has underflown is counted."""
        small = (real < TINY, guess < TINY)
        if any(small):
            self.zeros["both" if all(small) else "measured_only" if small[0] else "predicted_only"] += 1
        return not any(small)

    def row(self) -> dict[str, Any]:
        """The line of this model in the report."""
        return {
            "model": self.name,
            "nodes": self.nodes,
            "predict_ms": round(self.predict_ms, 1),
            "activation_std": summary(self.activations),
            "weight_gradient_norm": summary(self.gradients),
            "other_gradient_norm": summary(self.other_gradients),
            "worst_layers": worst(self.activations) | worst(self.gradients),
            "zero_or_underflown": dict(self.zeros),
            "without_prediction": len(self.missing),
            "unknown_operators": self.unknown,
        }

    def ratios(self) -> dict[str, dict[str, list[float]]]:
        """The ratios of all layers by operator, without their names."""
        found: dict[str, dict[str, list[float]]] = {}
        for place, entries in (("activation_std", self.activations), ("weight_gradient_norm", self.gradients)):
            by_op: dict[str, list[float]] = defaultdict(list)
            for _, op, ratio in entries:
                by_op[op].append(float(f"{ratio:.4g}"))
            found[place] = dict(by_op)
        return found


def worst(entries: list[Entry], count: int = 2) -> dict[str, float]:
    """The layers whose prediction is furthest off, with predicted over measured."""
    ordered = sorted(entries, key=lambda entry: -abs(math.log(entry[2])))
    return {f"{name} ({op})": round(ratio, 3) for name, op, ratio in ordered[:count]}


def summary(entries: list[Entry]) -> dict[str, float]:
    """Median relative error, and the factor that 95% of the layers stay within."""
    return summary_of([ratio for _, _, ratio in entries])


def summary_of(ratios: list[float]) -> dict[str, float]:
    """The same from ratios alone."""
    if not ratios:
        return {"layers": 0}
    logs = np.abs(np.log(ratios))
    return {
        "layers": len(ratios),
        "median_error": round(float(np.median(np.abs(np.array(ratios) - 1.0))), 4),
        "p95_factor": round(float(np.exp(np.percentile(logs, 95))), 4),
        "max_factor": round(float(np.exp(logs.max())), 4),
    }


def within(found: dict[str, float], goal: tuple[float, float]) -> bool:
    """Whether median and 95th percentile meet the goal; where nothing could be compared nothing is outside."""
    return found["layers"] == 0 or (found["median_error"] <= goal[0] and found["p95_factor"] <= goal[1])


def predicted(case: Case, seed: int = 0) -> tuple[Graph, Propagation, float, float]:
    """The prediction for the same draw, with the milliseconds of reading the weights and of predicting."""
    module = drawn(case, seed)
    inputs = case.inputs
    graph = torch_module.load(module, LoadOptions(example=inputs if len(inputs) > 1 else inputs[0]))
    start = time.perf_counter()
    weights = read_weights(graph)
    read = time.perf_counter()
    run = propagate(graph, weights)
    return graph, run, 1e3 * (read - start), 1e3 * (time.perf_counter() - read)


def compare(case: Case) -> Comparison:
    """Run and predict one draw of a model."""
    real = measured(case)
    graph, run, read_ms, predict_ms = predicted(case)
    return compared(case.name, graph, run, real, read_ms, predict_ms)


def compared(
    name: str, graph: Graph, run: Propagation, real: Measured, read_ms: float = 0.0, predict_ms: float = 0.0
) -> Comparison:
    """Pair every measured figure with its prediction."""
    found = Comparison(name, len(graph.nodes), read_ms, predict_ms, unknown=dict(run.unknown))
    found.measured_s = real["seconds"]
    last = {f"{node.scope}#{node.call}": node for node in graph.nodes if node.outputs}
    for key, value in real["outputs"].items():
        node = last.get(key)
        signal = run.forward[node.outputs[0]] if node is not None else None
        if signal is None or node is None:
            found.missing.append(key)
        elif found.comparable(value, signal.variance):
            found.activations.append((key.split("#")[0], node.op, math.sqrt(signal.variance / value)))
    values = {v.parameter: v for v in graph.values if v.kind == "parameter"}
    users = {value: node.op for node in graph.nodes for value in node.inputs if value is not None}
    for parameter, square in real["gradients"].items():
        held = values.get(parameter)
        gradient = run.backward[held.id] if held is not None else None
        if held is None or gradient is None:
            found.missing.append(parameter)
        elif found.comparable(square, gradient.q):
            matrix = parameter.endswith("weight") and len(graph.parameters[parameter].shape) > 1
            into = found.gradients if matrix else found.other_gradients
            into.append((parameter, users.get(held.id, "?"), math.sqrt(gradient.q / square)))
    return found
