"""Under which conditions the signal is predicted: the data, the weights, the gradient that starts at the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from initadvisor.graph import Graph, Parameter

_CHUNK = 1 << 18
"""Elements read at a time: they stay in cache."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is assumed of the run that is predicted.

    input_mean, input_q: mean and second moment of a number that enters. input_positions, input_samples: mean product
    of two inputs at different positions or in different samples, as shares of the variance (0: independent noise).
    gradient: "unit" starts with independent gradients of second moment 1 at every output element, "cross_entropy"
    with those of a mean cross-entropy over classes drawn at random.
    norm_batch: samples that a batch norm averages over; None takes those of the recorded run.
    """

    input_mean: float = 0.0
    input_q: float = 1.0
    input_positions: float = 0.0
    input_samples: float = 0.0
    gradient: Literal["unit", "cross_entropy"] = "unit"
    norm_batch: int | None = None


@dataclass(frozen=True, slots=True)
class WeightStatistics:
    """Mean and second moment of the elements of a parameter."""

    mean: float
    q: float


Weights = Mapping[str, WeightStatistics]


def read_weights(graph: Graph) -> dict[str, WeightStatistics]:
    """Read every parameter once, in float64; those without elements are left out."""
    found = {}
    for name, parameter in graph.parameters.items():
        statistics = read_parameter(parameter)
        if statistics is not None:
            found[name] = statistics
    return found


def read_parameter(parameter: Parameter) -> WeightStatistics | None:
    """Mean and second moment of one parameter, None where its elements are not there."""
    if parameter.source is None or not parameter.is_float:
        return None
    total = square = 0.0
    count = 0
    for chunk in parameter.source.chunks(_CHUNK):
        values = chunk.astype("float64", copy=False)
        total += float(values.sum())
        square += float(values @ values)
        count += values.size
    return WeightStatistics(total / count, square / count) if count else None


def planned(weights: Weights, stds: Mapping[str, float]) -> dict[str, WeightStatistics]:
    """Statistics where a plan draws some parameters anew, with mean 0 and the given standard deviations."""
    return {**weights, **{name: WeightStatistics(0.0, std * std) for name, std in stds.items()}}
