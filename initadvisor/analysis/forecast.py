"""The signal that a described graph will carry, predicted once from what its tensors hold, or why it cannot be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod

from initadvisor.analysis.facts.tensor import TensorFacts
from initadvisor.analysis.signal import Conditions, LayerSignal, Prediction, WeightStatistics, predict
from initadvisor.graph import Graph, Node
from initadvisor.ops import OPERATORS
from initadvisor.ops.moments import Signal

_MAIN_SLOTS = ("input", "left", "query", "indices", "operands...")


@dataclass(frozen=True, slots=True)
class Forecast:
    """A prediction with the weights that it assumed; `reason` says why there is none, and is "" where there is one.

    assumed: layers that hold nothing but zeros and end the model. They take the place of a head with gain 1, since
    they leave zero with the first step and no gradient could be followed back through them.
    """

    prediction: Prediction | None = None
    weights: Mapping[str, WeightStatistics] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    reason: str = ""

    @property
    def layers(self) -> tuple[LayerSignal, ...]:
        """The prediction at each layer, in the order of the forward pass; empty where there is none."""
        return self.prediction.layers if self.prediction is not None else ()


def no_graph(source: str) -> str:
    """Why nothing is known of the operators of a target. source: `Graph.source`."""
    if source == "checkpoint":
        return "a checkpoint holds tensors only, no graph"
    return "no forward pass of the model could be followed, so there is no graph"


def foresee(graph: Graph, tensors: Mapping[str, TensorFacts]) -> Forecast:
    """Predict the signal of a described graph for standard normal inputs and unit output gradients. Never raises.

    Batch norms use the statistics of the batch, as they do in training, however the graph was recorded.
    """
    if not graph.edges:
        return Forecast(reason=no_graph(graph.source))
    if any(facts.mirrored for facts in tensors.values()):
        return Forecast(
            reason="units are drawn in pairs of opposite sign, and a prediction counts with independent ones"
        )
    weights = statistics(tensors)
    if not weights:
        return Forecast(reason="no weight holds numbers to start from")
    return foresee_with(graph, weights)


def foresee_with(
    graph: Graph, weights: Mapping[str, WeightStatistics], conditions: Conditions | None = None
) -> Forecast:
    """The same for given statistics of the weights: as a plan would draw them, say. Never raises."""
    weights, assumed = _with_drawn_heads(graph, weights)
    try:
        return Forecast(predict(in_training(graph), weights, conditions), weights, assumed)
    except Exception as error:  # a prediction is an extra: whatever it trips over, the check goes on
        return Forecast(reason=f"the signal could not be predicted: {type(error).__name__}: {error}")


def statistics(tensors: Mapping[str, TensorFacts]) -> dict[str, WeightStatistics]:
    """Mean and second moment of every measured tensor that holds finite numbers only."""
    return {
        name: WeightStatistics(t.mean, t.rms * t.rms)
        for name, t in tensors.items()
        if t.mean is not None and t.rms is not None and math.isfinite(t.mean) and math.isfinite(t.rms)
        if not (t.nan_count or t.inf_count)
    }


def _with_drawn_heads(
    graph: Graph, weights: Mapping[str, WeightStatistics]
) -> tuple[dict[str, WeightStatistics], tuple[str, ...]]:
    drawn: dict[str, WeightStatistics] = {}
    heads = []
    for layer in graph.layers:
        held = weights.get(layer.weight or "")
        if layer.role == "head" and layer.weight and layer.fan_in and held is not None and held.q == 0.0:
            drawn[layer.weight] = WeightStatistics(0.0, 1.0 / layer.fan_in)
            heads.append(layer.name)
    return {**weights, **drawn}, tuple(heads)


def in_training(graph: Graph) -> Graph:
    """The graph with its batch norms as in training; one over a single element, which training refuses, is left."""
    nodes = [
        replace(node, attrs={**node.attrs, "training": True})
        if node.op == "batch_norm" and not node.attrs.get("training") and _averages(graph, node)
        else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=nodes)


def _averages(graph: Graph, node: Node) -> bool:
    shape = graph.values[node.inputs[0]].shape if node.inputs and node.inputs[0] is not None else None
    return shape is not None and prod(d for axis, d in enumerate(shape) if axis != 1 and d is not None) > 1


def entering(graph: Graph, node_id: int, forward: list[Signal | None]) -> int | None:
    """The value through which the signal enters a node: no weight, no constant, no mask; None where it is unknown."""
    node = graph.nodes[node_id]
    entry = OPERATORS.get(node.op)
    others: list[int] = []
    for slot, value in enumerate(node.inputs):
        signal = forward[value] if value is not None else None
        if value is None or signal is None or signal.free or signal.table or signal.constant is not None:
            continue
        named = entry.slots[min(slot, len(entry.slots) - 1)] if entry is not None and entry.slots else ""
        if named in _MAIN_SLOTS:
            return value
        others.append(value)
    return others[0] if others else None
