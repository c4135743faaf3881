"""From a described graph to the subjects that rules judge, and the table of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from initadvisor.report.model import DrawnFrom, LayerRow
from initadvisor.rules import Need, Subject, Vocabulary, flatten
from initadvisor.rules import vocabulary as read_vocabulary
from initadvisor.rules.vocabulary import FactValue, clean_text

if TYPE_CHECKING:
    from pydantic import BaseModel

    from initadvisor.analysis.facts import TensorFacts
    from initadvisor.analysis.facts.model import TrainingFacts
    from initadvisor.analysis.forecast import Forecast
    from initadvisor.graph import Graph, Layer
    from initadvisor.rules.finding import SubjectKind


@dataclass(frozen=True, slots=True)
class View:
    """A target as rules see it. `empty` says why there is nothing to check, and is "" where there is something."""

    subjects: Mapping[str, list[Subject]]
    available: frozenset[Need]
    reasons: Mapping[Need, str]
    layers: list[LayerRow]
    measured: Mapping[str, TensorFacts]
    forecast: Forecast
    empty: str = ""


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """Every fact that this version can measure, by scope."""
    from initadvisor.analysis.facts import SCOPES

    return read_vocabulary(SCOPES)


Enrich = Callable[[str, str, Mapping[str, "BaseModel"]], None]
"""Adds what was measured otherwise to the facts of a subject: called with (scope, name, facts by group)."""


def look(
    graph: Graph,
    tell: Callable[..., None],
    enrich: Enrich | None = None,
    earlier: View | None = None,
    training: TrainingFacts | None = None,
) -> View:
    """Measure the tensors of a described graph and gather the facts of every subject.

    earlier: a look at the same graph, whose measurements still hold. training: what is known of the training to come.
    """
    from initadvisor.analysis import facts
    from initadvisor.analysis.forecast import foresee, no_graph
    from initadvisor.analysis.tensor_facts import tensor_facts
    from initadvisor.engine.alternatives import others
    from initadvisor.engine.assessing import assess

    if earlier is not None:
        measured, forecast = earlier.measured, earlier.forecast
    else:
        measured = tensor_facts(graph, progress=lambda done, total: tell("weights", done, total))
        tell("signal")
        forecast = foresee(graph, measured)
    subjects: dict[str, list[Subject]] = {scope: [] for scope in facts.SCOPES}
    flat: dict[tuple[int, str], tuple[BaseModel, dict[str, FactValue]]] = {}
    for scope, name, tensor, groups in facts.collect(graph, measured, forecast):
        if enrich is not None:
            enrich(scope, name, groups)
        known: dict[str, FactValue] = {}
        for group, model in groups.items():
            # The whole network and each tensor serve several subjects: flatten them once, and keep them so that no
            # other object takes over their identity.
            key = (id(model), group)
            if key not in flat:
                if isinstance(model, facts.ModelFacts):
                    assess(model)
                    model.training = training
                    model.other = others(graph, measured, forecast, model)
                flat[key] = (model, flatten(group, model, {}))
            known |= flat[key][1]
        # The whole model goes without a name: that of the file would tie fingerprints to where it lies.
        label = "" if scope == "model" else clean_text(name)
        subjects[scope].append(Subject(cast("SubjectKind", scope), label, known, _text(tensor)))
    return View(
        subjects=subjects,
        available=_available(graph, forecast),
        reasons={"graph": no_graph(graph.source), "signal": clean_text(forecast.reason)},
        layers=[row(layer, graph, measured) for layer in graph.layers],
        measured=measured,
        forecast=forecast,
        empty="" if any(p.is_float for p in graph.parameters.values()) else "it holds no float parameter",
    )


def _available(graph: Graph, forecast: Forecast) -> frozenset[Need]:
    offered: set[Need] = set()
    if graph.edges:
        offered.add("graph")
    if any(p.source is not None and p.is_float for p in graph.parameters.values()):
        offered.add("weights")
    if forecast.prediction is not None:
        offered.add("signal")
    return frozenset(offered)


def row(layer: Layer, graph: Graph, measured: Mapping[str, TensorFacts]) -> LayerRow:
    """The line of a layer in the report."""
    weight = graph.parameters.get(layer.weight) if layer.weight else None
    return LayerRow(
        name=clean_text(layer.name),
        op=layer.op,
        weight=_text(layer.weight),
        bias=_text(layer.bias),
        shape=weight.shape if weight else None,
        fan_in=layer.fan_in,
        fan_out=layer.fan_out,
        activation=layer.activation.name if layer.activation else None,
        norm_before=_text(layer.norm_before),
        norm_after=_text(layer.norm_after),
        residual_role=layer.residual_role,
        depth=layer.depth,
        tied_to=tuple(clean_text(name) for name in layer.tied_to),
        drawn_from=_drawn_from(measured.get(layer.weight) if layer.weight else None),
    )


def _drawn_from(facts: Any) -> DrawnFrom | None:
    draw = facts.draw if facts is not None else None
    if draw is None or draw.method is None:
        return None
    return DrawnFrom(method=draw.method, gain=draw.gain, confidence=draw.confidence)


def _text(name: str | None) -> str | None:
    return None if name is None else clean_text(name)
