"""From a described graph and the facts of its tensors to the facts of every subject that rules judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from initadvisor.analysis.collect.bonds import Bonds
from initadvisor.analysis.collect.layers import layer_facts
from initadvisor.analysis.collect.models import model_facts
from initadvisor.analysis.collect.norms import norm_facts
from initadvisor.analysis.collect.signals import Signals
from initadvisor.analysis.facts.tensor import TensorFacts
from initadvisor.analysis.forecast import Forecast
from initadvisor.graph import Graph

__all__ = ["subjects"]

_UNKNOWN = TensorFacts()


def subjects(
    graph: Graph, tensors: Mapping[str, TensorFacts], forecast: Forecast | None = None
) -> Iterator[tuple[str, str, str | None, Mapping[str, BaseModel]]]:
    """Yield (scope, name, tensor, facts by group): the model, then each layer, norm and tensor."""
    bonds = Bonds(graph, tensors)
    signals = Signals(graph, forecast or Forecast())
    model = model_facts(bonds)
    model.signal = signals.model
    yield "model", graph.target, None, {"model": model}
    for layer in graph.layers:
        weight = tensors.get(layer.weight, _UNKNOWN) if layer.weight else _UNKNOWN
        bias = tensors.get(layer.bias, _UNKNOWN) if layer.bias else _UNKNOWN
        groups: dict[str, BaseModel] = {"tensor": weight, "bias": bias, "model": model}
        if layer.kind == "norm":
            norm = norm_facts(bonds, layer)
            norm.expected_var = signals.entering_variance(layer)
            yield "norm", layer.name, layer.weight, {"norm": norm, **groups}
        else:
            facts = layer_facts(bonds, layer)
            facts.signal = signals.layer(layer.name)
            yield "layer", layer.name, layer.weight, {"layer": facts, **groups}
    for name, measured in tensors.items():
        yield "tensor", name, name, {"tensor": measured, "model": model}
