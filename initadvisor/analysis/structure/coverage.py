"""What share of the model was understood."""

from __future__ import annotations

from collections import Counter

from initadvisor.analysis.structure.draft import Draft
from initadvisor.graph import Coverage


def read_coverage(draft: Draft) -> None:
    """Fill `Graph.coverage`: shares of parameter elements in known layers and of operators that have an entry."""
    graph = draft.graph
    coverage = graph.coverage
    unused = set(graph.summary.get("unused", ()))
    attached = set[str]()
    for layer in graph.layers:
        if layer.op not in ("opaque", "unknown"):
            attached.update(p for p in (layer.weight, layer.bias) if p is not None)
            attached.update(layer.attrs.get("also", ()))
    attached |= {p for p, owner in draft.owner.items() if owner.op != "opaque"}
    total = covered = 0
    for name, parameter in graph.parameters.items():
        if parameter.buffer or not parameter.is_float or name in unused:
            continue
        total += parameter.size
        covered += parameter.size if name in attached else 0
    coverage.parameters = covered / total if total else 1.0
    native = Counter(n.native or n.op for n in graph.nodes if draft.wiring.operators[n.id] is None)
    coverage.opaque = dict(native.most_common())
    coverage.operators = 1.0 - sum(native.values()) / len(graph.nodes) if graph.nodes else 1.0
    if unused:
        elements = sum(graph.parameters[n].size for n in unused)
        _note(
            coverage,
            f"{len(unused)} parameters ({elements:,} elements) are not used by the forward pass, such as {min(unused)}",
        )
    adds = graph.summary.get("unknown_adds", 0)
    if adds:
        _note(coverage, f"{adds} additions were too far from a common source to tell whether they are residual")


def _note(coverage: Coverage, note: str) -> None:
    if note not in coverage.notes:
        coverage.notes.append(note)
