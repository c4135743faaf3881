"""The prediction by layer: what reaches it, what leaves it, what gradient its weight gets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from initadvisor.analysis.signal.conditions import Conditions, Weights
from initadvisor.analysis.signal.propagate import Propagation, propagate
from initadvisor.graph import Graph, Layer, Node
from initadvisor.ops import OPERATORS
from initadvisor.ops.moments import Gradient, Signal

_INPUT_SLOTS = ("input", "left", "query", "indices", "operands...")
_MATRICES = ("linear", "recurrent", "embedding")


@dataclass(frozen=True, slots=True)
class LayerSignal:
    """Root mean squares at one layer; None where they are unknown.

    difference: the part of the output that tells two independent inputs apart. cosine, token_cosine: between the
    outputs for two inputs, and at two positions of one. logit_std: of the attention that this layer ends.
    """

    name: str
    depth: int | None
    input: float | None = None
    output: float | None = None
    difference: float | None = None
    cosine: float | None = None
    token_cosine: float | None = None
    gradient: float | None = None
    weight_gradient: float | None = None
    logit_std: float | None = None

    def figures(self) -> dict[str, float | None]:
        """The numbers under the names that facts and reports give them."""
        return {
            "input_rms": self.input,
            "output_rms": self.output,
            "difference_rms": self.difference,
            "cosine": self.cosine,
            "token_cosine": self.token_cosine,
            "gradient_rms": self.gradient,
            "weight_gradient_rms": self.weight_gradient,
            "attention_logit_std": self.logit_std,
        }


@dataclass(frozen=True, slots=True)
class Prediction:
    """Layers in the order of the forward pass, with the raw statistics of every value behind them."""

    layers: tuple[LayerSignal, ...]
    propagation: Propagation
    unknown: Mapping[str, int] = field(default_factory=dict)
    _by_name: dict[str, LayerSignal] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for layer in self.layers:
            self._by_name.setdefault(layer.name, layer)

    def __getitem__(self, name: str) -> LayerSignal:
        """The prediction of a layer by name; raises KeyError."""
        return self._by_name[name]


def predict(graph: Graph, weights: Weights, conditions: Conditions | None = None) -> Prediction:
    """Predict the signal at every layer of a described graph."""
    propagation = propagate(graph, weights, conditions)
    by_parameter = {v.parameter: v.id for v in graph.values if v.kind == "parameter" and v.parameter is not None}
    layers = [_layer(graph, layer, propagation, by_parameter) for layer in graph.layers if layer.node is not None]
    order = {layer.name: layer.node for layer in graph.layers}
    layers.sort(key=lambda layer: order[layer.name] or 0)
    return Prediction(tuple(layers), propagation, dict(propagation.unknown.most_common()))


def _layer(graph: Graph, layer: Layer, run: Propagation, by_parameter: Mapping[str, int]) -> LayerSignal:
    node = graph.nodes[layer.node] if layer.node is not None else None
    weight = by_parameter.get(layer.weight or "")
    gradient = run.backward[weight] if weight is not None else None
    if node is None:
        return LayerSignal(layer.name, layer.depth, weight_gradient=_root(gradient))
    entering = _entering(node, run, weight)
    leaving = run.forward[node.outputs[0]] if node.outputs else None
    back = run.backward[node.outputs[0]] if node.outputs else None
    spread = run.attention.get(node.id)
    return LayerSignal(
        layer.name,
        layer.depth,
        input=_root(entering),
        output=_root(leaving),
        difference=None if leaving is None else math.sqrt(max(leaving.q - leaving.samples, 0.0)),
        cosine=None if leaving is None or leaving.q <= 0 else leaving.samples / leaving.q,
        token_cosine=_token_cosine(leaving),
        gradient=_root(back),
        weight_gradient=_root(gradient),
        logit_std=None if spread is None else math.sqrt(spread),
    )


def _entering(node: Node, run: Propagation, weight: int | None) -> Signal | None:
    entry = OPERATORS.get(node.op)
    for slot, value in enumerate(node.inputs):
        name = entry.slots[min(slot, len(entry.slots) - 1)] if entry is not None and entry.slots else ""
        if value is not None and value != weight and name in _INPUT_SLOTS:
            return run.forward[value]
    return None


def _token_cosine(s: Signal | None) -> float | None:
    if s is None or s.q <= 0 or s.counts().positions <= 1:
        return None
    return s.positions / s.q


def _root(one: Signal | Gradient | None) -> float | None:
    return None if one is None else math.sqrt(max(one.q, 0.0))
