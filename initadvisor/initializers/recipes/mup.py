"""muP: starts and learning rates under which the best hyper-parameters do not change with width."""

from __future__ import annotations

from math import sqrt

from initadvisor.graph import Graph, Layer
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import in_blocks, of_kind, unit_norms, width, zero_biases
from initadvisor.initializers.spec import InitSpec


@recipe("mup")
def mup(graph: Graph, base_width: int, zero_readout: bool = True, std: float = 1.0) -> Choices:
    """Maximal update parametrization: hidden weights, readout and learning rates by layer type.

    Formula: m = width / base_width. Input weights, embeddings, biases, norms as in the base model, Adam rate 1, SGD
        rate m. Hidden: variance std^2 / fan_in, Adam rate 1 / m. Readout: 0, or constant std and input / m.
    Use: to tune on a narrow model and train a wide one.
    Caveat: the forward pass has to divide the readout's input by m and to use 1 / d instead of 1 / sqrt(d) in
        attention; a fan counts as width where it differs between the narrow and the wide model: hidden layers here.
    Source: Yang et al. 2022, arXiv 2203.03466, table 8, and microsoft/mup.
    """
    wide = width(graph) or _hidden_width(graph)
    m = wide / base_width
    vector = {"adam": 1.0, "sgd": m}
    chosen: Choices = {
        name: Choice(choice.spec, choice.reason, vector)
        for name, choice in {**unit_norms(graph), **zero_biases(graph, "biases start at zero")}.items()
    }
    for layer in (*of_kind(graph, "embedding"), *of_kind(graph, "table")):
        spec = InitSpec("normal", {"std": std})
        chosen[layer.weight or ""] = Choice(spec, f"an input weight keeps its std {std:g} at any width", vector)
    for layer in of_kind(graph, "linear"):
        chosen[layer.weight or ""] = _matrix(layer, m, std, zero_readout, vector)
    return chosen


def _matrix(layer: Layer, m: float, std: float, zero_readout: bool, vector: dict[str, float]) -> Choice:
    scaled = {"scale": std * std, "mode": "fan_in", "distribution": "normal"}
    if layer.role == "stem":
        return Choice(
            InitSpec("variance_scaling", scaled), "an input layer: its fan_in does not grow with width", vector
        )
    if layer.role == "head":
        if zero_readout:
            return Choice(InitSpec("zeros"), "a zero readout removes a finite-width effect of the start", vector)
        spec = InitSpec("variance_scaling", {**scaled, "scale": std * std * m})
        return Choice(
            spec, f"the readout's std x sqrt({m:.3g}) stays constant, its input is divided by {m:.3g}", vector
        )
    rates = {"adam": 1.0 / m, "sgd": 1.0}
    reason = f"a hidden layer: variance 1 / fan_in, Adam's rate divided by {m:.3g}"
    return Choice(in_blocks(layer, InitSpec("variance_scaling", scaled)), reason, rates)


def _hidden_width(graph: Graph) -> int:
    fans = sorted(int(layer.fan_in) for layer in of_kind(graph, "linear", "hidden") if layer.fan_in)
    return fans[len(fans) // 2] if fans else 1


def attention_scale(head_width: int, base_head_width: int) -> float:
    """What muP multiplies query-key products with: sqrt(base) / d, which is 1 / sqrt(d) at the base width."""
    return sqrt(base_head_width) / head_width
