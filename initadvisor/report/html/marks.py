"""Which findings belong to which layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from initadvisor.report.model import Report
from initadvisor.rules.rule import SEVERITIES, Severity


@dataclass(frozen=True, slots=True)
class Mark:
    """A rule that found something at a layer."""

    rule: str
    severity: Severity
    name: str


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks by layer name, worst first and each rule once; `layers` is how many layers have any."""

    by_layer: Mapping[str, tuple[Mark, ...]] = field(default_factory=dict)
    layers: int = 0

    @classmethod
    def of(cls, report: Report) -> Marks:
        """By the name of the layer, or by its tensor, whichever a finding has."""
        names: dict[str, str] = {}
        for row in report.layers:
            for key in (row.bias, row.weight):
                if key:
                    names[key] = row.name
        rows = {row.name for row in report.layers}
        found: dict[str, dict[str, Mark]] = {}
        for finding in report.findings:
            subject = finding.subject
            layer = subject.name if subject.name in rows else names.get(subject.tensor or subject.name)
            if layer is not None:
                mark = Mark(finding.rule, finding.severity, finding.name)
                found.setdefault(layer, {}).setdefault(finding.rule, mark)
        ordered = {layer: tuple(sorted(marks.values(), key=_rank)) for layer, marks in found.items()}
        return cls(ordered, len(ordered))

    def at(self, layer: str | None) -> tuple[Mark, ...]:
        """The marks of a layer."""
        return self.by_layer.get(layer, ()) if layer is not None else ()


def _rank(mark: Mark) -> tuple[int, str]:
    return SEVERITIES.index(mark.severity), mark.rule
