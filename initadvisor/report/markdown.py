"""Markdown for pull requests, issues and step summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from initadvisor.report.accepted import lines as accepted_lines
from initadvisor.report.escape import MAX_MESSAGE, MAX_NAME, visible
from initadvisor.report.model import Report
from initadvisor.report.text import MAX_SUBJECTS, advice_of, coverage_of, ordered, place_of, sentence, verdict_of
from initadvisor.rules.finding import Finding

_ACTIVE = "\\`*_{}[]<>|~@#!&$:"
"""Characters that can begin markup, mentions or links; entities of them are text in every dialect."""


def as_markdown(reports: Sequence[Report], why: Mapping[str, str] | None = None) -> str:
    """A section a target: verdict, table of findings by rule, what was suppressed. why: rule id -> one sentence."""
    return "\n".join(_sections(reports, why))


def as_summary(reports: Sequence[Report], why: Mapping[str, str] | None, room: int) -> str:
    """The same in up to `room` bytes: whole sections, the gravest verdicts first, and a count of the others."""
    whole = as_markdown(reports, why)
    if len(whole.encode()) <= room:
        return whole
    left, kept = room - _COUNT, []
    for section in _sections(sorted(reports, key=_gravity), why):
        left -= len(section.encode()) + 1
        if left < 0:
            break
        kept.append(section)
    more = f"{len(reports) - len(kept)} more targets do not fit here; see the log, or write the report to a file.\n"
    return "\n".join([*kept, more]) if room >= _COUNT else ""


_COUNT = 200
"""Bytes that the sentence about what does not fit takes at most."""


def _gravity(report: Report) -> tuple[int, int, int]:
    order = {"not_checked": 0, "findings": 1, "clean": 2}
    return order[report.verdict], -report.summary.error, -report.summary.warning


def _sections(reports: Sequence[Report], why: Mapping[str, str] | None) -> list[str]:
    return ["\n".join(_section(report, why or {})) + "\n" for report in reports]


def _section(report: Report, why: Mapping[str, str]) -> list[str]:
    lines = [
        f"### {plain(visible(report.target, MAX_NAME))}",
        "",
        f"**{plain(visible(sentence(verdict_of(report)), MAX_MESSAGE))}**",
    ]
    if report.error is not None:
        return lines
    lines[-1] += f" {plain(sentence(coverage_of(report)))}"
    groups = [list(group) for _, group in groupby(ordered(report.findings), key=lambda f: (f.severity, f.rule))]
    if groups:
        lines += ["", "| severity | rule | where | what | fix |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(group, why) for group in groups]
    apart = accepted_lines(report)
    if apart:
        lines += ["", *(f"- {plain(line)}" for line in apart)]
    return lines


def _row(group: list[Finding], why: Mapping[str, str]) -> str:
    head = group[0]
    places = [plain(place_of(finding.subject)) or "the model" for finding in group[:MAX_SUBJECTS]]
    if len(group) > MAX_SUBJECTS:
        places.append(f"and {len(group) - MAX_SUBJECTS} more")
    what = plain(visible(head.message, MAX_MESSAGE))
    if head.rule in why:
        what += f"<br>{plain(why[head.rule])}"
    cells = (
        head.severity,
        f"{head.rule} {plain(head.name)}",
        "<br>".join(places),
        what,
        plain(visible(advice_of(head), MAX_MESSAGE)),
    )
    return "| " + " | ".join(cells) + " |"


def plain(text: str) -> str:
    """Text that no Markdown dialect takes for markup, a mention, a link or a new table cell."""
    shown = "".join(f"&#{ord(c)};" if c in _ACTIVE else c for c in visible(text))
    return shown.replace("www.", "www&#46;")
