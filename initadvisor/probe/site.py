"""Where a probe looks: a layer or norm, the module whose output it is, the function behind it."""

from __future__ import annotations

from dataclasses import dataclass


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
