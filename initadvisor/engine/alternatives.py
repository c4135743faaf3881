"""What else could be done about a start, each change predicted on a graph that has it before it is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.plan.alternatives import Alternative, Outlook

if TYPE_CHECKING:
    from initadvisor.analysis.changes import Place
    from initadvisor.analysis.facts import ModelFacts, TensorFacts
    from initadvisor.analysis.facts.model import OtherFacts
    from initadvisor.analysis.forecast import Forecast
    from initadvisor.analysis.signal import WeightStatistics
    from initadvisor.graph import Graph
    from initadvisor.plan.step import PlanStep

OFFERED = ("relu", "gelu", "silu", "tanh")
"""Activations that are in every framework and need nothing of their neighbours."""

MOST_NODES = 20_000
"""Operators up to which graphs are changed and predicted again, which takes as long as half a dozen forecasts."""

BATCH = 32
"""Samples that the batch norms of an alternative average over: a usual batch, far from where their noise matters."""

_BOUNDED = frozenset({"sigmoid", "tanh", "hardtanh", "hardsigmoid", "softsign", "erf", "sign"})


def alternatives(
    graph: Graph, measured: Mapping[str, TensorFacts], forecast: Forecast, steps: Sequence[PlanStep] | None = None
) -> tuple[Alternative, ...]:
    """The start as it is, as advised, and with other activations or norms; empty where no signal is predicted.

    steps: those of the plan in question; without them what is advised by default.
    Another activation gets the weights that are advised for it; norms, which erase the scale of weights, those that
    are advised for the model with them. Activations are exchanged where there is no norm, or where they are bounded.
    """
    if forecast.prediction is None or len(graph.nodes) > MOST_NODES:
        return ()
    now = outlook(facts_of(graph, measured, forecast))
    found = [Alternative("draw", "as it is", now)]
    try:
        found.append(Alternative("draw", "with the weights of this plan", _replanned(graph, measured, steps)))
        found.extend(_changed(graph, measured))
    except Exception:  # alternatives are an extra: whatever a changed graph trips over, the check goes on
        return tuple(found)
    return tuple(found)


def others(
    graph: Graph, measured: Mapping[str, TensorFacts], forecast: Forecast, model: ModelFacts
) -> OtherFacts | None:
    """The best of the alternatives as facts, for a start whose risk makes it worth the predictions; else None."""
    from initadvisor.analysis.facts.model import OtherFacts
    from initadvisor.engine.assessing import scales

    risk = model.signal.risk if model.signal is not None else None
    if risk is None or risk <= scales()["signal"].seek:
        return None
    known = [each for each in alternatives(graph, measured, forecast)[1:] if each.outlook.risk is not None]
    best: dict[str, Alternative] = {}
    for each in sorted(known, key=lambda each: each.outlook.risk or 0.0):
        best.setdefault(each.kind, each)
    facts: dict[str, Any] = {}
    for kind, name in (("activation", "detail"), ("norm", "change")):
        if kind in best:
            seen = best[kind].outlook
            facts |= {kind: getattr(best[kind], name), f"{kind}_risk": seen.risk}
            facts[f"{kind}_depth_scales"] = seen.depth_scales
    return OtherFacts(planned_risk=best["draw"].outlook.risk if "draw" in best else None, **facts)


def _changed(graph: Graph, measured: Mapping[str, TensorFacts]) -> Iterator[Alternative]:
    from initadvisor.analysis.changes import activations, with_activation, with_norms

    places = activations(graph)
    normed = any(layer.kind == "norm" for layer in graph.layers)
    exchanged = [place for place in places if not normed or place.name in _BOUNDED]
    if not places:
        return
    for name in OFFERED if exchanged else ():
        others = [place for place in exchanged if place.name != name]
        if others:
            change = f"{name} in place of {_names(others)}"
            yield Alternative("activation", change, _replanned(with_activation(graph, others, name), measured), name)
    for batch in (False, True) if not normed else ():
        changed = with_norms(graph, places, batch=batch)
        kinds = sorted({layer.op.replace("_", " ") for layer in changed.layers if layer.kind == "norm"})
        size = f" over {BATCH} samples" if batch else ""
        change = f"{' and '.join(f'{kind}s' for kind in kinds)}{size} before activations"
        yield Alternative("norm", change, _replanned(changed, measured), "batch" if batch else "layer")


def _names(places: Sequence[Place]) -> str:
    return " and ".join(sorted({place.name for place in places}))


def _replanned(graph: Graph, measured: Mapping[str, TensorFacts], steps: Sequence[PlanStep] | None = None) -> Outlook:
    """The outlook of a graph with the weights of these steps, or with those that are advised for it."""
    from initadvisor.plan import advise
    from initadvisor.plan.moments import weights_after

    planned = advise(graph, measured).steps if steps is None else steps
    drawn = {
        s.parameter: _drawn(measured[s.parameter]) for s in planned if s.spec is not None and s.parameter in measured
    }
    return _predicted(graph, {**measured, **drawn}, weights_after(measured, planned))


def _drawn(before: TensorFacts) -> TensorFacts:
    """What is known of a tensor that will hold independent draws: no two of its rows are alike."""
    from initadvisor.analysis.facts import TensorFacts

    return TensorFacts(name=before.name, shape=before.shape, duplicate_rows=0.0, effective_rank=1.0)


def _predicted(graph: Graph, measured: Mapping[str, TensorFacts], weights: Mapping[str, WeightStatistics]) -> Outlook:
    from initadvisor.analysis.forecast import foresee_with
    from initadvisor.analysis.signal import Conditions

    return outlook(facts_of(graph, measured, foresee_with(graph, weights, Conditions(norm_batch=BATCH))))


def facts_of(graph: Graph, measured: Mapping[str, TensorFacts], forecast: Forecast) -> ModelFacts:
    """The facts of a model as a whole, the risk included."""
    from initadvisor.analysis.collect.bonds import Bonds
    from initadvisor.analysis.collect.models import model_facts
    from initadvisor.analysis.collect.signals import Signals
    from initadvisor.engine.assessing import assess

    facts = model_facts(Bonds(graph, measured))
    facts.signal = Signals(graph, forecast).model
    assess(facts)
    return facts


def outlook(facts: ModelFacts) -> Outlook:
    """The figures of an alternative."""
    signal = facts.signal
    if signal is None:
        return Outlook()
    normed = bool(facts.has_norm)
    return Outlook(
        signal.risk,
        signal.depth_scales,
        signal.scaled_forward_ratio if normed else signal.forward_ratio,
        signal.scaled_backward_ratio if normed else signal.backward_ratio,
    )
