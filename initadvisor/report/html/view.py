"""What the page says about one target, in the order that it says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from initadvisor.report.html.figures import Figure, figures_of
from initadvisor.report.html.findings import Group, groups_of
from initadvisor.report.html.flow import Block, blocks_of
from initadvisor.report.html.marks import Marks
from initadvisor.report.html.table import LayerTable, table_of
from initadvisor.report.html.weights import Weights, weights_of
from initadvisor.report.model import Report, Suppressed
from initadvisor.report.text import place_of, sentence, verdict_of
from initadvisor.rules.rule import SEVERITIES, Rule, Severity

MAX_REASONS = 40
MAX_SUPPRESSED = 100
MAX_TARGETS = 200
"""Targets of one page that are shown in full; the others have their line in the table at the top."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rule gave no answer, and on how many subjects."""

    rule: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding that somebody suppressed, and why."""

    rule: str
    place: str
    reason: str
    origin: str
    until: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """One target. `key` begins the ids of its elements; left_out counts the findings that are not shown."""

    key: str
    report: Report
    verdict: str
    mood: str
    counts: list[tuple[Severity, int]]
    groups: list[Group]
    left_out: int
    reasons: list[Reason]
    more_reasons: int
    figures: list[Figure]
    table: LayerTable
    weights: Weights
    blocks: list[Block]
    suppressed: list[Accepted]
    more_suppressed: int
    full: bool = True


def view_of(report: Report, index: int, of: int, rules: Mapping[str, Rule], why: Mapping[str, str]) -> ReportView:
    """A target on a page `of` so many, which share what a page may hold."""
    full = index < MAX_TARGETS
    share = max(1, min(of, MAX_TARGETS)) if full else MAX_TARGETS
    key = f"t{index}"
    accepted = max(5, MAX_SUPPRESSED // share)
    marks = Marks.of(report)
    groups, left_out = groups_of(report, key, rules, why, share) if full else ([], 0)
    reasons = Counter((row.rule, row.reason) for row in report.not_evaluated)
    shown = [Reason(rule, reason, count) for (rule, reason), count in reasons.most_common(max(3, MAX_REASONS // share))]
    return ReportView(
        key=key,
        report=report,
        verdict=verdict_sentence(report, marks),
        mood=_mood(report),
        counts=[(severity, getattr(report.summary, severity)) for severity in SEVERITIES],
        groups=groups,
        left_out=left_out,
        reasons=shown,
        more_reasons=len(reasons) - len(shown),
        figures=figures_of(report) if full else [],
        table=table_of(report, marks, share if full else 10**9),
        weights=weights_of(report, marks, share) if full else Weights([], [], 0),
        blocks=blocks_of(report, marks, share) if full else [],
        suppressed=[_accepted(one) for one in report.suppressed[:accepted]],
        more_suppressed=max(0, len(report.suppressed) - accepted),
        full=full,
    )


def _accepted(one: Suppressed) -> Accepted:
    place = place_of(one.finding.subject) or "the whole model"
    origin = f"{one.kind} ({one.origin})" if one.origin else one.kind
    return Accepted(one.finding.rule, place, one.reason, origin, one.expires.isoformat() if one.expires else "")


def verdict_sentence(report: Report, marks: Marks) -> str:
    """The verdict as a person would say it."""
    if report.verdict == "not_checked":
        return sentence(verdict_of(report))
    if report.verdict == "clean":
        return "No findings: nothing that could be checked stands in the way of training."
    layers = len(report.layers)
    where = f" in {marks.layers} of {layers} layers" if marks.layers else ""
    counted = sentence(verdict_of(report)).rstrip(".") + where
    if report.summary.error:
        return f"{counted}: as it stands, this model is not expected to train."
    if report.summary.warning:
        return f"{counted}: it may train slower, or less surely, than it could."
    return f"{counted}: worth knowing, no reason to stop."


def _mood(report: Report) -> str:
    if report.verdict != "findings":
        return report.verdict
    return report.worst() or "info"
