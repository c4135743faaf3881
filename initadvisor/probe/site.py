"""Where a probe looks: a layer or norm, the module whose output it is, the function behind it."""

from __future__ import annotations

from dataclasses import dataclass

from initadvisor.graph import Layer
from initadvisor.probe.sample import MEASURED_ACTIVATIONS


@dataclass(frozen=True, slots=True)
class Site:
    """One place to watch in a torch module.

    name: of the layer, as reports say it. module: path of the module whose first float output is measured.
    weight: path of the parameter. activation: what directly consumes the output ("relu", "tanh" ...), "" for nothing
    that saturates or kills. kind, role: as the layer's. depth: weighted layers up to here, 0 for unknown.
    norm: the operator where it is a normalization, "" else.
    """

    name: str
    module: str
    weight: str = ""
    activation: str = ""
    kind: str = "linear"
    role: str = ""
    depth: int = 0
    norm: str = ""


def owner(parameter: str) -> str:
    """The path of the module that uses a parameter: what makes the weight of a reparametrised one is stepped over."""
    return (
        parameter.partition(".parametrizations.")[0]
        if ".parametrizations." in parameter
        else parameter.rpartition(".")[0]
    )


def consumed_by(layer: Layer) -> str:
    """The activation that directly reads a layer's output, where it is one whose dead or flat units are counted."""
    if layer.kind == "recurrent" or (layer.norm_after and layer.kind != "norm") or layer.activation is None:
        return ""
    return layer.activation.name if layer.activation.name in MEASURED_ACTIVATIONS else ""
