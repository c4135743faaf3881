"""Looks-linear starts for plain stacks of rectifiers that are too deep for their width."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np

from initadvisor.graph import Activation, Graph, Layer
from initadvisor.initializers import InitSpec
from initadvisor.initializers.recipes import Choice, Choices
from initadvisor.ops.gains import moments, resolve

NOISIEST = 4.0
"""Variance of the log of the signal's second moment over a stack's draws from which on it is drawn in pairs: at 4 it is
as likely as not that the scale is off by a factor of two or more (root mean square), which the next rate can make up
for; beyond, few draws train at any rate."""

SHALLOWEST = 10
"""Layers of a stack from which on this is asked at all."""

PASSING = frozenset({"relu", "relu6", "leaky_relu", "gelu", "gelu_tanh", "silu", "hardswish", "mish", "softplus"})
"""Activations whose f(z) - f(-z) is z times a constant, or nearly (Mish) or up to a bound (ReLU6)."""

_BETWEEN = PASSING | {"add", "identity", "dropout", "cast", "mul", "sigmoid", "tanh", "hardsigmoid", "linear", "erf"}
"""Operators that keep the units in their order; an activation may be written out in several."""


def mirrored(graph: Graph) -> Choices:
    """Choices for the weights of such stacks: from the first layer to the one that reads the last rectifier.

    Source: Balduzzi et al. 2017, arXiv 1702.08591. The noise of independent draws: each layer adds the variance of the
    mean of f^2 over its units, and passes on the rest times rho^2, the square of its exponent (Hanin and Nica 2018,
    arXiv 1801.04889, for ReLU).
    """
    found: Choices = {}
    for stack, reader in _stacks(graph):
        activation = stack[0].activation
        if activation is None or not too_noisy(activation, [layer.fan_out or 1.0 for layer in stack]):
            continue
        gain = _gain(activation.name, activation.params)
        reason = (
            f"{len(stack)} {activation.name} layers this narrow leave their scale to chance; opposite pairs keep it"
        )
        for index, layer in enumerate(stack):
            spec = InitSpec("mirrored_orthogonal", {"gain": gain, "sides": "both"} if index else {"sides": "rows"})
            found[layer.weight or ""] = Choice(spec, reason)
        if reader is not None:
            spec = InitSpec("mirrored_orthogonal", {"gain": gain, "sides": "columns"})
            found[reader.weight or ""] = Choice(spec, "it puts the pairs of the last rectifier together again")
    return found


def too_noisy(activation: Activation, widths: list[float]) -> bool:
    """Whether independent draws would leave the scale behind such a stack to chance, or nothing but a mean."""
    spread, exponent, mean_share = _statistics(activation.name, activation.params)
    variance = 0.0
    for width in widths:
        variance = min(variance * exponent**2 + spread / width, 1e9)
    return variance > NOISIEST or mean_share > 0.5


def _stacks(graph: Graph) -> list[tuple[list[Layer], Layer | None]]:
    """Runs of matrices with one passing activation, each read by the next alone, and the layer that reads the last."""
    layers = {layer.name: layer for layer in graph.layers if layer.kind == "linear"}
    read = Counter(name for layer in graph.layers for name in layer.attrs.get("previous", ()))
    after: dict[str, Layer] = {}
    before: dict[str, Layer] = {}
    for layer in layers.values():
        names = layer.attrs.get("stretch_previous", ())
        one = layers.get(names[0]) if len(names) == 1 else None
        if one is not None and read[one.name] == 1 and _joined(graph, one, layer):
            after[one.name], before[layer.name] = layer, one
    found = []
    for first in layers.values():
        if not _passes(first) or _continues(before.get(first.name), first):
            continue
        stack, reader = [first], after.get(first.name)
        while reader is not None and _continues(stack[-1], reader):
            stack.append(reader)
            reader = after.get(reader.name)
        if len(stack) >= SHALLOWEST:
            found.append((stack, reader if reader is not None and _matrix(reader) else None))
    return found


def _continues(before: Layer | None, layer: Layer) -> bool:
    return before is not None and _passes(before) and _passes(layer) and before.activation == layer.activation


def _joined(graph: Graph, before: Layer, layer: Layer) -> bool:
    """Whether the units of one layer arrive at the other as they left it, through elementwise operators."""
    if before.node is None or layer.node is None or before.fan_out != layer.fan_in:
        return False
    return all(node.op in _BETWEEN for node in graph.nodes[before.node + 1 : layer.node])


def _matrix(layer: Layer) -> bool:
    return layer.receptive_field == 1 and layer.groups == 1 and layer.weight is not None and not layer.blocks


def _passes(layer: Layer | None) -> bool:
    if layer is None or not _matrix(layer) or layer.role == "head" or layer.scale_invariant:
        return False
    activation = layer.activation
    known = activation is not None and activation.name in PASSING and not activation.gated
    return known and layer.residual_role in (None, "trunk")


@lru_cache(maxsize=64)
def _statistics(name: str, params: tuple[tuple[str, float], ...]) -> tuple[float, float, float]:
    """(relative variance of f^2, d ln E[f^2] / d ln q, share of the mean in E[f^2]) at unit pre-activations."""
    function = resolve(name, **dict(params)).function
    at_one = moments(name, 1.0, **dict(params))
    fourth = moments(lambda z: np.asarray(function(z)) ** 2, 1.0).second
    step = 1.01
    exponent = np.log(moments(name, step, **dict(params)).second / at_one.second) / np.log(step)
    return fourth / at_one.second**2 - 1.0, float(exponent), at_one.mean**2 / at_one.second


@lru_cache(maxsize=64)
def _gain(name: str, params: tuple[tuple[str, float], ...]) -> float:
    """E[(f(z) - f(-z))^2]^-1/2: 1 where a pair gives z back."""
    function = resolve(name, **dict(params)).function
    passed = moments(lambda z: np.asarray(function(z)) - np.asarray(function(-z)), 1.0).second
    return round(float(passed**-0.5), 6)
