"""The facts that rules judge: one pydantic model a scope, every field with its description and unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from initadvisor.analysis.facts.backbone import BackboneFacts
from initadvisor.analysis.facts.clients import ClientFacts, ClientsFacts
from initadvisor.analysis.facts.data import ExpectedFacts, InputFacts, LabelFacts
from initadvisor.analysis.facts.layer import LayerFacts
from initadvisor.analysis.facts.model import ModelFacts
from initadvisor.analysis.facts.norm import NormFacts
from initadvisor.analysis.facts.probe import LayerProbeFacts, ModelProbeFacts, ParameterProbeFacts
from initadvisor.analysis.facts.signal import LayerSignalFacts, ModelSignalFacts
from initadvisor.analysis.facts.stretch import PeerFacts, ResidualFacts, StretchFacts
from initadvisor.analysis.facts.tensor import DrawFacts, TensorFacts

if TYPE_CHECKING:
    from pydantic import BaseModel

    from initadvisor.analysis.forecast import Forecast
    from initadvisor.graph import Graph

__all__ = [
    "SCOPES",
    "BackboneFacts",
    "ClientFacts",
    "ClientsFacts",
    "DrawFacts",
    "ExpectedFacts",
    "InputFacts",
    "LabelFacts",
    "LayerFacts",
    "LayerProbeFacts",
    "LayerSignalFacts",
    "ModelFacts",
    "ModelProbeFacts",
    "ModelSignalFacts",
    "NormFacts",
    "ParameterProbeFacts",
    "PeerFacts",
    "ResidualFacts",
    "StretchFacts",
    "TensorFacts",
    "collect",
]

SCOPES: Mapping[str, Mapping[str, type]] = {
    "model": {"model": ModelFacts},
    "layer": {"layer": LayerFacts, "tensor": TensorFacts, "bias": TensorFacts, "model": ModelFacts},
    "norm": {"norm": NormFacts, "tensor": TensorFacts, "bias": TensorFacts, "model": ModelFacts},
    "tensor": {"tensor": TensorFacts, "model": ModelFacts},
    "batch": {"input": InputFacts, "labels": LabelFacts},
    "client": {"client": ClientFacts, "clients": ClientsFacts},
    "clients": {"clients": ClientsFacts},
}
"""What the subjects of each scope carry: scope -> group -> fact model."""


def collect(
    graph: Graph, tensors: Mapping[str, TensorFacts], forecast: Forecast | None = None
) -> Iterator[tuple[str, str, str | None, Mapping[str, BaseModel]]]:
    """Yield (scope, name, tensor, facts by group) for every subject of a described graph.

    tensors: the facts of each parameter by name, as `initadvisor.analysis.tensor_facts.tensor_facts` gives them.
    forecast: the signal as `initadvisor.analysis.forecast.foresee` predicts it; without one no signal is known.
    """
    from initadvisor.analysis.collect import subjects

    yield from subjects(graph, tensors, forecast)
