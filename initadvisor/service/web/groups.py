"""Findings of a report as a page lists them: by rule and message, worst first, a bounded number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from initadvisor.report.text import ordered, place_of
from initadvisor.rules.finding import Finding

MAX_GROUPS, MAX_PLACES = 200, 8


@dataclass(slots=True)
class Group:
    """One rule's findings: the first message, and the places it was found at."""

    rule: str
    name: str
    severity: str
    message: str
    places: list[str] = field(default_factory=list)
    count: int = 0

    @property
    def more(self) -> int:
        """Places that are not shown."""
        return self.count - len(self.places) if self.places else 0


def grouped(findings: Iterable[Finding]) -> list[Group]:
    """One group a rule and severity."""
    groups: dict[tuple[str, str], Group] = {}
    for finding in ordered(findings):
        key = (finding.rule, finding.severity)
        if key not in groups:
            if len(groups) >= MAX_GROUPS:
                continue
            groups[key] = Group(finding.rule, finding.name, finding.severity, finding.message)
        group = groups[key]
        group.count += 1
        place = place_of(finding.subject)
        if place and len(group.places) < MAX_PLACES:
            group.places.append(place)
    return list(groups.values())
