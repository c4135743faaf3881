"""Markdown for pull requests, issues and step summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from initadvisor.report.escape import MAX_NAME, visible
from initadvisor.report.model import Report
from initadvisor.report.text import MAX_SUBJECTS, advice_of, coverage_of, ordered, place_of, sentence, verdict_of
from initadvisor.rules.finding import Finding

_ACTIVE = "\\`*_{}[]<>|~@#!&$:"
"""Characters that can begin markup, mentions or links; entities of them are text in every dialect."""


def as_markdown(reports: Sequence[Report], why: Mapping[str, str] | None = None) -> str:
    """A section a target: its verdict, then a table of findings by rule. why: rule id -> one sentence."""
    return "\n".join("\n".join(_section(report, why or {})) + "\n" for report in reports)


def _section(report: Report, why: Mapping[str, str]) -> list[str]:
    lines = [f"### {plain(visible(report.target, MAX_NAME))}", "", f"**{plain(sentence(verdict_of(report)))}**"]
    if report.error is not None:
        return lines
    lines[-1] += f" {plain(sentence(coverage_of(report)))}"
    groups = [list(group) for _, group in groupby(ordered(report.findings), key=lambda f: (f.severity, f.rule))]
    if groups:
        lines += ["", "| severity | rule | where | what | fix |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(group, why) for group in groups]
    return lines


def _row(group: list[Finding], why: Mapping[str, str]) -> str:
    head = group[0]
    places = [plain(place_of(finding.subject)) or "the model" for finding in group[:MAX_SUBJECTS]]
    if len(group) > MAX_SUBJECTS:
        places.append(f"and {len(group) - MAX_SUBJECTS} more")
    what = plain(visible(head.message))
    if head.rule in why:
        what += f"<br>{plain(why[head.rule])}"
    cells = (head.severity, f"{head.rule} {plain(head.name)}", "<br>".join(places), what, plain(advice_of(head)))
    return "| " + " | ".join(cells) + " |"


def plain(text: str) -> str:
    """Text that no Markdown dialect takes for markup, a mention, a link or a new table cell."""
    shown = "".join(f"&#{ord(c)};" if c in _ACTIVE else c for c in visible(text))
    return shown.replace("www.", "www&#46;")
