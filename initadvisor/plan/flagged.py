"""Which parameters a rule has found fault with: its subject, and what the fault is spread over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from initadvisor.graph import Graph, Layer
from initadvisor.initializers.recipes.places import branches

if TYPE_CHECKING:
    from initadvisor.rules.finding import Finding

_JUDGED = ("error", "warning")
_RECOMMENDED = "recommended"
"""The initializer of a fix that leaves the choice to the place of each parameter."""

_STRETCH, _STREAM = "layer.stretch.", "model.residual."
"""Facts that tell of many layers: of a stretch without norms, reported at its end, and of the residual stream."""

Rules = dict[str, tuple[str, ...]]


def by_parameter(graph: Graph, findings: Iterable[Finding]) -> tuple[Rules, Rules]:
    """Ids of the rules that found fault with each parameter itself, and of those that have a say on it.

    The first are errors and warnings about the parameter; the second are remarks, and faults of the stretch of layers,
    the residual stream or the whole model that it is a part of, none of which says that its own values are not meant.
    """
    findings = tuple(findings)
    flagged, noticed = _by_place(graph, findings)
    for finding in findings:
        if is_of_all(finding):
            for layer in graph.layers:
                for name in (layer.weight, layer.bias):
                    if name is not None:
                        _add(noticed, name, finding.rule)
    return flagged, noticed


def is_of_all(finding: Finding) -> bool:
    """Whether the fault lies in the draws of a whole model: no single layer is named, and all are to be drawn anew."""
    fix = finding.fix
    return (
        finding.subject.kind == "model"
        and finding.severity in _JUDGED
        and fix is not None
        and fix.method == _RECOMMENDED
    )


def _by_place(graph: Graph, findings: Iterable[Finding]) -> tuple[Rules, Rules]:
    weights = {layer.name: layer.weight for layer in graph.layers if layer.weight is not None}
    flagged: Rules = {}
    noticed: Rules = {}
    for finding in findings:
        subject = finding.subject
        name = (
            subject.tensor or weights.get(subject.name) or (subject.name if subject.name in graph.parameters else None)
        )
        if name is not None and subject.kind != "model":
            _add(flagged if finding.severity in _JUDGED else noticed, name, finding.rule)
        for layer in _spread(graph, finding):
            for other in (layer.weight, layer.bias):
                if other is not None and other != name:
                    _add(noticed, other, finding.rule)
    return flagged, noticed


def broken_by(graph: Graph, findings: Iterable[Finding]) -> frozenset[str]:
    """The parameters that findings of level error are about: each itself, and what the fault is spread over."""
    flagged, noticed = _by_place(graph, (f for f in findings if f.severity == "error"))
    return frozenset((*flagged, *noticed))


def _add(table: Rules, name: str, rule: str) -> None:
    if rule not in table.get(name, ()):
        table[name] = (*table.get(name, ()), rule)


def _spread(graph: Graph, finding: Finding) -> Iterator[Layer]:
    """The layers that a fault is spread over: a stretch back from its end, the branches without norms."""
    if any(key.startswith(_STRETCH) for key in finding.evidence):
        layers = {layer.name: layer for layer in graph.layers}
        waiting, seen = [finding.subject.name], set[str]()
        while waiting:
            name = waiting.pop()
            if name in layers and name not in seen:
                seen.add(name)
                yield layers[name]
                waiting += layers[name].attrs.get("stretch_previous", ())
    elif any(key.startswith(_STREAM) for key in finding.evidence):
        for branch in branches(graph):
            if not branch.norms:
                yield from (*branch.layers, *branch.ends)
