"""Findings by rule, worst first, with what they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from initadvisor.report.escape import visible
from initadvisor.report.html.rule_text import inline, rule_text
from initadvisor.report.model import Report
from initadvisor.report.svg import short
from initadvisor.report.text import advice_of, ordered, place_of
from initadvisor.rules.finding import EvidenceValue, Finding
from initadvisor.rules.rule import Rule, Severity

MAX_GROUPS = 120
MAX_PLACES = 60
MAX_MESSAGES = 20
MAX_EVIDENCE = 24
MAX_COLUMNS = 12
MAX_VALUE = 120


@dataclass(frozen=True, slots=True)
class Said:
    """A message, and the places that it is said of."""

    message: str
    places: list[str]
    more: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers that findings rest on: a row a finding."""

    names: list[str]
    rows: list[tuple[str, list[str]]]
    more: int


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of a rule. text: its page as markup, "" where it is not known."""

    key: str
    rule: str
    name: str
    severity: Severity
    count: int
    said: list[Said]
    more: int
    why: Markup
    advice: str
    safety: str
    command: str
    evidence: Evidence
    text: Markup


def groups_of(
    report: Report, key: str, rules: Mapping[str, Rule], why: Mapping[str, str], share: int
) -> tuple[list[Group], int]:
    """The groups that a page has room for, and how many findings are in none of them."""
    groups = [list(g) for _, g in groupby(ordered(report.findings), key=lambda f: (f.severity, f.rule))]
    shown = groups[: max(5, MAX_GROUPS // share)]
    made = [_group(group, key, rules.get(group[0].rule), why, share) for group in shown]
    return made, sum(len(group) for group in groups[len(shown) :])


def _group(group: list[Finding], key: str, rule: Rule | None, why: Mapping[str, str], share: int) -> Group:
    head = group[0]
    said = _said(group, max(8, MAX_PLACES // share), max(4, MAX_MESSAGES // share))
    return Group(
        key=f"{key}-{head.rule}",
        rule=head.rule,
        name=head.name,
        severity=head.severity,
        count=len(group),
        said=said,
        more=len(group) - sum(len(one.places) + one.more for one in said),
        why=inline(why.get(head.rule, "")),
        advice=advice_of(head),
        safety=head.fix.safety if head.fix is not None else "",
        command=next((f.fix.command for f in group if f.fix and f.fix.command), None) or "",
        evidence=_evidence(group, max(6, MAX_EVIDENCE // share)),
        text=rule_text(rule) if rule is not None else Markup(""),
    )


def _said(group: Sequence[Finding], places: int, messages: int) -> list[Said]:
    alike: dict[str, list[Finding]] = {}
    for finding in group:
        alike.setdefault(finding.message, []).append(finding)
    said = []
    for message, findings in list(alike.items())[:messages]:
        shown = [place_of(f.subject) or "the whole model" for f in findings[:places]]
        places = max(places - len(shown), 1)
        said.append(Said(visible(message, 2000), shown, len(findings) - len(shown)))
    return said


def _evidence(group: Sequence[Finding], limit: int) -> Evidence:
    names: dict[str, None] = {}
    for finding in group[:limit]:
        names |= dict.fromkeys(name for name in finding.evidence if not name.endswith(".name"))
    columns = list(names)[:MAX_COLUMNS]
    rows = [
        (place_of(f.subject) or "the whole model", [_value(f.evidence.get(name)) for name in columns])
        for f in group[:limit]
    ]
    return Evidence([visible(name, MAX_VALUE) for name in columns], rows, len(group) - len(rows))


def _value(value: EvidenceValue | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return short(value, 4)
    if isinstance(value, list):
        text = ", ".join(short(v, 3) if isinstance(v, float) else str(v) for v in value[:8])
        return visible(text + (" ..." if len(value) > 8 else ""), MAX_VALUE)
    return visible(value, MAX_VALUE)
