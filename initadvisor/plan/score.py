"""A plan before and after: how far signal and gradient spread over depth, as predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from initadvisor.analysis.forecast import Forecast, foresee_with
from initadvisor.graph import Graph
from initadvisor.ops.moments import Gradient, Signal
from initadvisor.plan.moments import weights_after
from initadvisor.plan.step import PlanStep

if TYPE_CHECKING:
    from initadvisor.analysis.facts import TensorFacts

_ASIDE = frozenset({"head", "router", "modulation", "squeeze_excite", "lora_a", "lora_b", "relative_position"})


@dataclass(frozen=True, slots=True)
class Spread:
    """Largest over smallest root mean square along the trunk: of the signal, and of the gradient's norm."""

    forward: float | None
    gradient: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """What a plan does to the predicted signal. places: layers of the trunk and residual sums that are compared."""

    places: int
    before: Spread
    after: Spread

    def to_json(self) -> dict[str, Any]:
        """The score as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Score:
        """Read what `to_json` wrote."""
        return cls(int(data["places"]), Spread(**data["before"]), Spread(**data["after"]))


def score(
    graph: Graph, measured: Mapping[str, TensorFacts], steps: Sequence[PlanStep], before: Forecast
) -> Score | None:
    """Compare the forecast of a model as it is with that of the model once the steps are carried out.

    None where no signal is known, or there are fewer than two places to compare, or units are drawn in pairs, which
    the prediction takes for independent.
    """
    if before.prediction is None or any(step.method == "mirrored_orthogonal" for step in steps):
        return None
    after = foresee_with(graph, weights_after(measured, steps))
    values = _places(graph)
    if after.prediction is None or len(values) < 2:
        return None
    return Score(len(values), _spread(before, values), _spread(after, values))


def _places(graph: Graph) -> list[int]:
    """Outputs along the trunk: of layers outside residual branches, behind their norm, and of residual sums."""
    layers = {layer.name: layer for layer in graph.layers}
    nodes = {block["node"] for block in graph.summary.get("blocks", ())}
    for layer in graph.layers:
        if layer.kind not in ("linear", "recurrent") or layer.role in _ASIDE:
            continue
        if layer.residual_role in (None, "trunk"):
            at = layers.get(layer.norm_after or "", layer) if layer.scale_invariant else layer
            nodes |= {at.node} if at.node is not None else set()
    return [graph.nodes[node].outputs[0] for node in sorted(nodes) if graph.nodes[node].outputs]


def _spread(forecast: Forecast, values: Sequence[int]) -> Spread:
    if forecast.prediction is None:
        return Spread(None, None)
    run = forecast.prediction.propagation
    return Spread(
        _ratio([_second(run.forward[v]) for v in values]),
        _ratio([_second(run.backward[v], run.forward[v]) for v in values]),
    )


def _second(one: Signal | Gradient | None, shaped: Signal | None = None) -> float:
    """The second moment; that of the whole tensor where its shape is given. 0 where nothing is known."""
    if one is None or not math.isfinite(one.q):
        return 0.0
    return one.q * (shaped.counts().total if shaped is not None else 1)


def _ratio(seconds: Sequence[float]) -> float | None:
    """The spread of root mean squares; what is zero (a branch that starts closed) or unknown does not count."""
    known = [second for second in seconds if second > 0.0]
    if len(known) < 2:
        return None
    return math.exp(min(0.5 * (math.log(max(known)) - math.log(min(known))), 700.0))
