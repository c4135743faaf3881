"""Histograms of weights and the flow of operators, for reports with pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from initadvisor.analysis.tensors.sampling import element_sample
from initadvisor.errors import InitAdvisorError
from initadvisor.graph import Graph, Layer, Node
from initadvisor.initializers import InitSpec
from initadvisor.initializers.distributions import TruncatedNormal
from initadvisor.report.details import BINS, Details, Family, FlowStep, WeightDensity, WeightHistogram
from initadvisor.rules.vocabulary import clean_text

if TYPE_CHECKING:
    from initadvisor.report.model import Recommended, Report

SAMPLE = 1 << 14
"""Elements of a weight that its histogram counts: a bin holds about 400, which is 5% of noise."""

MAX_HISTOGRAMS = 96
MAX_STEPS = 3000

OUTLIER_SHARE = 0.001
"""Share of the sample at each end that may lie outside the bins, where it lies far out."""


def with_details(report: Report, graph: Graph) -> Report:
    """The report with histograms of its weights and the flow of its operators."""
    flagged = {f.subject.tensor for f in report.findings if f.subject.tensor}
    matrices = [layer for layer in graph.layers if layer.weight and layer.kind in ("linear", "embedding", "recurrent")]
    advice = {row.weight: row.recommended for row in report.layers if row.weight and row.recommended}
    chosen = _chosen(matrices, flagged)
    # Only what a rule found fault with was advised anew; for the rest, the advice for a model that starts from nothing.
    specs = _defaults(graph) if any(clean_text(layer.weight or "") not in advice for layer in chosen) else {}
    histograms = (_histogram(graph, layer, advice, specs) for layer in chosen)
    steps, total = _flow(graph)
    details = Details(
        histograms=tuple(h for h in histograms if h is not None), weights=len(matrices), flow=steps, operators=total
    )
    return report.model_copy(update={"details": details})


def _chosen(layers: Sequence[Layer], flagged: Collection[str]) -> list[Layer]:
    """Those with findings first, in the order of the model."""
    at_fault = [layer for layer in layers if clean_text(layer.weight or "") in flagged][:MAX_HISTOGRAMS]
    kept = {id(layer) for layer in at_fault}
    for layer in layers:
        if len(kept) >= MAX_HISTOGRAMS:
            break
        kept.add(id(layer))
    return [layer for layer in layers if id(layer) in kept]


def _defaults(graph: Graph) -> Mapping[str, InitSpec]:
    from initadvisor.plan.defaults import default_choices

    return {name: choice.spec for name, choice in default_choices(graph).items()}


def _histogram(
    graph: Graph, layer: Layer, advice: Mapping[str, Recommended], specs: Mapping[str, InitSpec]
) -> WeightHistogram | None:
    parameter = graph.parameters.get(layer.weight or "")
    if parameter is None or parameter.source is None or not parameter.is_float or not parameter.size:
        return None
    sample = element_sample(parameter.source, SAMPLE).astype(np.float64)
    finite = sample[np.isfinite(sample)]
    low, high = _range(finite)
    counts, _ = np.histogram(finite, BINS, (low, high))
    given = advice.get(clean_text(parameter.name))
    spec = InitSpec(given.method, given.params) if given is not None else specs.get(parameter.name)
    return WeightHistogram(
        layer=clean_text(layer.name),
        parameter=clean_text(parameter.name),
        std=_std(finite),
        low=low,
        high=high,
        counts=tuple(int(count) for count in counts),
        sampled=int(sample.size),
        outside=int(finite.size - counts.sum()),
        not_finite=int(sample.size - finite.size),
        recommended=_density(spec, parameter.shape, layer) if spec is not None else None,
    )


def _std(finite: np.ndarray) -> float | None:
    with np.errstate(all="ignore"):
        std = float(finite.std()) if finite.size else None
    return std if std is not None and np.isfinite(std) else None


def _range(finite: np.ndarray) -> tuple[float, float]:
    """What the bins span: everything, but for outliers that would press all the rest into one bin."""
    if not finite.size:
        return -1.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    inner_low, inner_high = np.quantile(finite, [OUTLIER_SHARE, 1 - OUTLIER_SHARE])
    reach = float(inner_high - inner_low)
    if reach > 0:
        low, high = max(low, float(inner_low) - reach), min(high, float(inner_high) + reach)
    room = max(abs(low), abs(high)) * 1e-6 or 1.0
    return (low, high) if high - low > room * 1e-3 else (low - room, high + room)


def _density(spec: InitSpec, shape: tuple[int, ...], layer: Layer) -> WeightDensity | None:
    try:
        drawn = spec.distribution(shape, layer.layout)
        if drawn is not None:
            family = cast("Family", drawn.kind)
            bound = getattr(drawn, "bound", None)
            sigma = drawn.scale if isinstance(drawn, TruncatedNormal) else None
            return WeightDensity(
                method=spec.method, family=family, mean=drawn.mean, std=drawn.std, bound=bound, sigma=sigma
            )
        # What hangs together within a matrix is near normal element by element once it has a few hundred of them.
        return WeightDensity(method=spec.method, family="normal", std=spec.std(shape, layer.layout))
    except (InitAdvisorError, ArithmeticError):
        return None


def _flow(graph: Graph) -> tuple[tuple[FlowStep, ...], int]:
    """The operators that carry the signal, in order: not those that compute shapes, indices and masks."""
    carrying = [node for node in graph.nodes if _carries(graph, node)]
    shown = carrying[:MAX_STEPS]
    places = {node.id: place for place, node in enumerate(shown)}
    layers = {layer.node: clean_text(layer.name) for layer in reversed(graph.layers) if layer.node is not None}
    return tuple(_step(graph, node, places, layers) for node in shown), len(carrying)


def _carries(graph: Graph, node: Node) -> bool:
    kinds = [graph.values[output].dtype for output in node.outputs]
    return not kinds or any(kind is None or kind.startswith(("float", "bfloat", "complex")) for kind in kinds)


def _step(graph: Graph, node: Node, places: Mapping[int, int], layers: Mapping[int, str]) -> FlowStep:
    shape = graph.values[node.outputs[0]].shape if node.outputs else None
    return FlowStep(
        operator=clean_text(node.op if node.op != "opaque" else node.native or node.op),
        where=clean_text(node.scope),
        layer=layers.get(node.id),
        shape=shape,
        inputs=tuple(dict.fromkeys(_sources(graph, node, places))),
    )


def _sources(graph: Graph, node: Node, places: Mapping[int, int]) -> Iterable[int]:
    for value in node.inputs:
        producer = graph.values[value].producer if value is not None else None
        if producer is not None and producer in places:
            yield places[producer]
