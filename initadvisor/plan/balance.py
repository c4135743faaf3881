"""Gains of plain rectifier stacks, made up for what padding and pooling do to signal and gradient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import exp, isfinite, log, prod

from initadvisor.analysis.signal import Conditions, Propagation, WeightStatistics, propagate
from initadvisor.graph import Graph, Layer
from initadvisor.initializers import InitSpec
from initadvisor.initializers.recipes import Choice, Choices

LEAST = 0.05
"""Corrections below this share of a gain are left out: they add up to nothing over the layers there are."""

SHORTEST = 3
"""Links of a stack from which on signal and gradient are weighed against each other; over fewer, the signal decides."""

MOST = 2.0
"""No gain is corrected by more: where the prediction asks for it, something else is the matter."""

NEIGHBOURS = 0.95
"""Assumed correlation of the input at two places, that of adjacent pixels of natural images: max pooling picks among
values that are nearly the same there, and gains less than it would among independent ones."""

HOMOGENEOUS = frozenset({"relu", "leaky_relu", "prelu", "linear"})
"""Activations through which a scale passes, so that a gain may be moved without leaving a fixed point."""

_BETWEEN = HOMOGENEOUS | {
    "max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool", "pad", "reshape", "flatten", "unflatten", "view",
    "permute", "transpose", "squeeze", "unsqueeze", "identity", "cast", "add",
}  # fmt: skip
"""Operators that may lie between two layers of a stack; `add` stands for the bias of a decomposed layer. Whatever else
joins, splits or multiplies there is not the geometry that is made up for here."""


def balanced(graph: Graph, chosen: Mapping[str, Choice], plain: Mapping[str, Layer]) -> Choices:
    """New choices for those of the layers `plain` that lie behind a convolution and would change the signal.

    From one layer to the next, zero padding takes from signal and gradient alike (5/9 of both at 2 x 2 pixels under a
    3 x 3 kernel), and max pooling adds to the signal and lets the whole gradient through. The gain between the two is
    divided by the geometric mean of both factors, so that neither direction drifts.

    Source: the factors are predicted from second moments, as Hanin and Rolnick 2018, arXiv 1803.01719, do for plain
    layers, with what the geometry adds.
    """
    links = stacked(graph, plain)
    if not links:
        return {}
    run = propagate(graph, _statistics(graph, chosen), Conditions(input_positions=NEIGHBOURS))
    changed: Choices = {}
    for before, layer in links:
        factor = _factor(graph, run, before, layer)
        choice = chosen.get(layer.weight or "")
        if choice is None or factor is None or abs(factor - 1.0) < LEAST:
            continue
        spec = _scaled(choice.spec, factor)
        if spec is not None:
            reason = f"{choice.reason}; x{factor:.3g} for what padding and pooling do between {before.name} and it"
            changed[layer.weight or ""] = replace(choice, spec=spec, reason=reason)
    return changed


def stacked(graph: Graph, plain: Mapping[str, Layer]) -> list[tuple[Layer, Layer]]:
    """The pairs of layers in stacks with convolutions that are long enough for a drift to add up."""
    links = {layer.name: (before, layer) for before, layer in _links(graph, plain)}
    behind = {before.name: layer.name for before, layer in links.values()}
    found: list[tuple[Layer, Layer]] = []
    for first in (name for name in behind if name not in links):
        stack: list[tuple[Layer, Layer]] = []
        name: str | None = behind[first]
        while name is not None:
            stack.append(links[name])
            name = behind.get(name)
        if len(stack) >= SHORTEST and any(one.receptive_field > 1 for pair in stack for one in pair):
            found += stack
    return found


def _links(graph: Graph, plain: Mapping[str, Layer]) -> Iterator[tuple[Layer, Layer]]:
    """Pairs of layers that follow each other and nothing else, homogeneous between."""
    read = Counter(name for layer in graph.layers for name in layer.attrs.get("previous", ()))
    for layer in plain.values():
        names = layer.attrs.get("stretch_previous", ())
        before = plain.get(names[0]) if len(names) == 1 else None
        if before is None or read[before.name] != 1 or layer.role == "head":
            continue
        if any(one.layout is None or one.layout.transposed for one in (before, layer)):
            continue
        if any(node.op not in _BETWEEN for node in graph.nodes[(before.node or 0) + 1 : layer.node or 0]):
            continue
        if all(one.activation is not None and one.activation.name in HOMOGENEOUS for one in (before, layer)):
            yield before, layer


def _statistics(graph: Graph, chosen: Mapping[str, Choice]) -> dict[str, WeightStatistics]:
    layouts = {layer.weight: layer.layout for layer in graph.layers if layer.weight is not None}
    found = {}
    for name, choice in chosen.items():
        parameter = graph.parameters.get(name)
        if parameter is None:
            continue
        distribution = choice.spec.distribution(parameter.shape, layouts.get(name))
        mean = distribution.mean if distribution is not None else 0.0
        std = choice.spec.std(parameter.shape, layouts.get(name))
        found[name] = WeightStatistics(mean, mean * mean + std * std)
    return found


def _factor(graph: Graph, run: Propagation, before: Layer, layer: Layer) -> float | None:
    """What the gain of `layer` is to be multiplied with, or None where nothing could be predicted."""
    forward, backward = [], []
    for one in (before, layer):
        node = graph.nodes[one.node] if one.node is not None else None
        value = node.outputs[0] if node is not None and node.outputs else None
        signal, gradient = (run.forward[value], run.backward[value]) if value is not None else (None, None)
        shape = graph.values[value].shape if value is not None else None
        if signal is None or gradient is None or shape is None or any(d is None for d in shape):
            return None
        if not (signal.q > 0.0 and gradient.q > 0.0 and isfinite(signal.q) and isfinite(gradient.q)):
            return None
        forward.append(log(signal.q))
        backward.append(log(gradient.q * prod(int(d or 1) for d in shape)))
    drift = (forward[1] - forward[0]) + (backward[0] - backward[1])
    return min(max(exp(-0.25 * drift), 1.0 / MOST), MOST)


def _scaled(spec: InitSpec, factor: float) -> InitSpec | None:
    """The spec with a gain that many times as large; None for a method that has none to scale."""
    if spec.method == "orthogonal":
        return InitSpec(spec.method, {**spec.params, "gain": float(spec.params.get("gain", 1.0)) * factor})
    if spec.method == "kaiming_normal" and set(spec.params) <= {"negative_slope"}:
        slope = float(spec.params.get("negative_slope", 0.0))
        return _normal(2.0 / (1.0 + slope * slope) * factor * factor)
    if spec.method == "lecun_normal":
        return _normal(factor * factor)
    return None


def _normal(scale: float) -> InitSpec:
    return InitSpec("variance_scaling", {"scale": scale, "mode": "fan_in", "distribution": "normal"})
