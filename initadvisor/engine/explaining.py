"""`check --explain LAYER`: the layer by its name, and the way of the signal as rows of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initadvisor.errors import UsageError
from initadvisor.report.model import Explanation, PathStep, SignalRow
from initadvisor.rules.vocabulary import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from initadvisor.analysis.forecast import Forecast
    from initadvisor.analysis.trace import Step
    from initadvisor.graph import Graph, Layer

MAX_SHOWN = 8
"""Layers named where none is called like the one that was asked for."""


def explain(graph: Graph, forecast: Forecast, name: str) -> Explanation:
    """The way of the signal to and from a layer, named as in the report or by its weight.

    Raises UsageError, with the nearest names, for a layer that is not there, and where no signal is known.
    """
    from initadvisor.analysis.trace import trace

    layer = _named(graph, name)
    if forecast.prediction is None:
        raise UsageError(f"the signal at {name!r} in {graph.target} cannot be explained: {forecast.reason}")
    found = trace(graph, layer, forecast)
    if found is None:
        raise UsageError(
            f"the signal at {name!r} in {graph.target} cannot be explained: no operator of the forward pass uses it"
        )
    return Explanation(
        layer=clean_text(layer.name),
        forward=_rows(found.forward),
        backward=_rows(found.backward),
        assumed=tuple(clean_text(head) for head in forecast.assumed),
    )


def signal_rows(forecast: Forecast) -> tuple[SignalRow, ...]:
    """The prediction at each layer for the report."""
    return tuple(SignalRow(layer=clean_text(s.name), depth=s.depth, **s.figures()) for s in forecast.layers)


def _named(graph: Graph, name: str) -> Layer:
    for layer in graph.layers:
        if name in (layer.name, clean_text(layer.name), layer.weight):
            return layer
    names = [clean_text(layer.name) for layer in graph.layers]
    if not names:
        raise UsageError(f"there is no layer {name!r} in {graph.target}: it has no layers at all")
    raise UsageError(f"there is no layer {name!r} in {graph.target}", hint=_hint(name, names))


def _hint(name: str, names: list[str]) -> str:
    # Imported on first use: nobody else needs it.
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=3, cutoff=0.5) or [n for n in names if name and name in n][:3]
    if near:
        return "did you mean " + " or ".join(f'"{n}"' for n in near) + "?"
    return f"its layers are {', '.join(names[:MAX_SHOWN])}{' ...' if len(names) > MAX_SHOWN else ''}"


def _rows(steps: Iterable[Step]) -> tuple[PathStep, ...]:
    return tuple(
        PathStep(
            operator=clean_text(step.operator),
            where=clean_text(step.where),
            q_in=step.q_in,
            q_out=step.q_out,
            factor=step.factor,
            joins=tuple((clean_text(where), q) for where, q in step.joins),
        )
        for step in steps
    )
