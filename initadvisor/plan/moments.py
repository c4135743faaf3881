"""Gains from the signal that reaches each layer, where the graph is known, in place of those of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from initadvisor.analysis.forecast import entering, in_training, statistics
from initadvisor.analysis.signal import Conditions, WeightStatistics
from initadvisor.analysis.signal.propagate import Walk
from initadvisor.graph import Graph, Layer, Node
from initadvisor.initializers import InitSpec
from initadvisor.initializers.recipes import Choices
from initadvisor.ops.moments import Call
from initadvisor.ops.moments.signal import independent
from initadvisor.plan.critical import is_saturating
from initadvisor.plan.step import PlanStep

if TYPE_CHECKING:
    from initadvisor.analysis.facts import TensorFacts

LEAST, MOST = 0.4, 2.5
"""Shares of its usual gain that a layer keeps to: the gradient on its way back wants the usual one."""

CLOSE = 1.25
"""Up to this factor the usual gain stays: within it lie all activations at their own gain (SiLU 1.07, ELU 1.24)."""

_ADJUSTED = frozenset({"kaiming_normal", "lecun_normal", "variance_scaling"})
_ASIDE = frozenset({"head", "router", "lora_a", "lora_b", "modulation", "squeeze_excite", "q", "k", "qkv"})


@dataclass(frozen=True, slots=True)
class _Target:
    """A step that may be given another gain, with the gain that it has: the right one for a unit second moment."""

    step: PlanStep
    layer: Layer
    gain: float


def at_moments(
    graph: Graph, measured: Mapping[str, TensorFacts], steps: Sequence[PlanStep], defaults: Choices
) -> tuple[PlanStep, ...]:
    """The steps, with the gain of each default draw set by the second moment that reaches the layer.

    The table's gains suit a layer that reads a unit second moment; one that reads q gets its gain over sqrt(q). Pools,
    sums, products, constants and layers that are kept bring what no table knows. What is not a default, what a norm
    rescales anyway, and saturating or deep plain stacks on their critical line stay as they are.
    Source: He et al. 2015, arXiv 1502.01852; Bingham and Miikkulainen 2021, arXiv 2109.08958 (AutoInit).
    """
    if not graph.edges:
        return tuple(steps)
    targets = _targets(graph, steps, defaults)
    if not targets:
        return tuple(steps)
    try:
        gains = _gains(graph, weights_after(measured, steps), targets)
    except Exception:  # the table's gains are good: whatever a prediction trips over, advice is given
        return tuple(steps)
    return tuple(_adjusted(step, gains.get(step.parameter)) for step in steps)


def weights_after(measured: Mapping[str, TensorFacts], steps: Sequence[PlanStep]) -> dict[str, WeightStatistics]:
    """Mean and second moment of every parameter once a plan is carried out; what is not known is left out."""
    found = statistics(measured)
    for step in steps:
        if step.spec is None:
            continue
        std, mean = step.std_after, step.mean_after
        if std is not None and mean is not None and math.isfinite(std) and math.isfinite(mean):
            found[step.parameter] = WeightStatistics(mean, std * std + mean * mean)
        else:
            found.pop(step.parameter, None)
    return found


def _targets(graph: Graph, steps: Sequence[PlanStep], defaults: Choices) -> dict[str, _Target]:
    owners = {layer.weight: layer for layer in graph.layers if layer.kind == "linear" and layer.weight is not None}
    found = {}
    for step in steps:
        layer, default = owners.get(step.parameter), defaults.get(step.parameter)
        if layer is None or default is None or step.spec != default.spec or not _free(layer, step):
            continue
        std = step.std_after
        if std and layer.fan_in:
            found[step.parameter] = _Target(step, layer, std * math.sqrt(layer.fan_in))
    return found


def _free(layer: Layer, step: PlanStep) -> bool:
    """Whether the forward signal alone decides the gain of a layer."""
    if step.spec is None or step.spec.method not in _ADJUSTED or layer.role in _ASIDE:
        return False
    if layer.scale_invariant or layer.attrs.get("scale_erased") or layer.node is None:
        return False
    if layer.residual_role not in (None, "trunk"):  # a branch is drawn for what it adds to its stream, as in Fixup
        return False
    if layer.attrs.get("input_activation") == "unknown":
        return False  # its gain is from the function itself; a walk through its operators knows less of it
    return not is_saturating(layer.activation) and layer.attrs.get("behind_gate") is None


class _Fitting(Walk):
    """A forward walk that draws each target by the second moment that reaches it."""

    def __init__(self, graph: Graph, weights: Mapping[str, WeightStatistics], targets: Mapping[int, _Target]) -> None:
        super().__init__(graph, weights, Conditions())
        self.targets = targets
        self.drawn: dict[str, tuple[float, float]] = {}

    def _call(self, node: Node) -> Call:
        target = self.targets.get(node.id)
        if target is not None and target.step.parameter not in self.drawn:
            self._draw(node, target)
        return super()._call(node)

    def _draw(self, node: Node, target: _Target) -> None:
        values, forward = self.graph.values, self.result.forward
        weight = next((v for v in node.inputs if v is not None and values[v].parameter == target.step.parameter), None)
        value = entering(self.graph, node.id, forward)
        signal = forward[value] if value is not None else None
        drawn = forward[weight] if weight is not None else None
        if weight is None or signal is None or drawn is None or not 0.0 < signal.q < math.inf:
            return
        share = min(max(signal.q**-0.5, LEAST), MOST)
        if 1.0 / CLOSE < share < CLOSE:
            return
        # Three digits, as the plan will say it, so that what follows is drawn for what this one does.
        gain = float(f"{share * target.gain:.3g}")
        self.drawn[target.step.parameter] = (gain, signal.q)
        fan = target.layer.fan_in or 1.0
        self._keep(weight, independent(0.0, gain * gain / fan, drawn.axes, free=True))


def _gains(
    graph: Graph, weights: Mapping[str, WeightStatistics], targets: Mapping[str, _Target]
) -> Mapping[str, tuple[float, float]]:
    """The new gain and the second moment that it makes up for, by parameter."""
    at_node = {target.layer.node: target for target in targets.values() if target.layer.node is not None}
    run = _Fitting(in_training(graph), weights, at_node)
    run.ahead()
    return run.drawn


def _adjusted(step: PlanStep, drawn: tuple[float, float] | None) -> PlanStep:
    if drawn is None:
        return step
    gain, second = drawn
    spec = InitSpec("variance_scaling", {"scale": gain * gain, "mode": "fan_in", "distribution": "normal"})
    limited = not LEAST < second**-0.5 < MOST
    change = "as far from its usual gain as it is moved" if limited else "makes up for it"
    reason = f"what reaches it has second moment {second:.2g}, not one: a gain of {gain:g} {change}"
    return replace(step, spec=spec, reason=reason)
