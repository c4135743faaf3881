"""The facts that rules judge, from an observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from initadvisor.analysis.facts import LayerProbeFacts, ModelProbeFacts, ParameterProbeFacts
from initadvisor.probe.layer_facts import layer_facts
from initadvisor.probe.model_facts import model_facts
from initadvisor.probe.observation import Observation
from initadvisor.probe.parameter_facts import parameter_facts


@dataclass(frozen=True, slots=True)
class ProbeFacts:
    """Facts of the model, of layers by name, of parameters by name."""

    model: ModelProbeFacts
    layers: Mapping[str, LayerProbeFacts]
    parameters: Mapping[str, ParameterProbeFacts]


def facts_of(seen: Observation, total_elements: float) -> ProbeFacts:
    """total_elements: of all float parameters of the model, frozen ones included."""
    layers, parameters = layer_facts(seen), parameter_facts(seen)
    return ProbeFacts(model_facts(seen, layers, parameters, total_elements), layers, parameters)
