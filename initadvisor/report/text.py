"""Reports for people: `full` groups by rule and says why and what to do, `concise` has one line a finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby

from initadvisor.report.accepted import lines as accepted_lines
from initadvisor.report.accepted import tally
from initadvisor.report.escape import MAX_NAME, visible
from initadvisor.report.model import Report
from initadvisor.report.signal_text import curves, explanation
from initadvisor.report.terminal import Style, fill, paint
from initadvisor.rules.finding import Finding, Fix, SubjectName
from initadvisor.rules.rule import SEVERITIES

MAX_SUBJECTS = 8
"""Subjects listed under one rule in a full report; concise and json list all."""

MAX_REASONS = 5


def as_concise(reports: Iterable[Report]) -> str:
    """`target:subject: IA101 error message`, then one line a target with the count and the coverage."""
    lines = []
    for report in reports:
        target = visible(report.target, MAX_NAME)
        for finding in ordered(report.findings):
            place = f"{target}:{place_of(finding.subject)}" if place_of(finding.subject) else target
            lines.append(f"{place}: {finding.rule} {finding.severity} {visible(finding.message)}")
        lines.append(f"{target}: {verdict_of(report)}; {coverage_of(report)}")
    return "".join(f"{line}\n" for line in lines)


def as_full(
    reports: Iterable[Report],
    *,
    columns: int = 100,
    color: bool = False,
    why: Mapping[str, str] | None = None,
    blocks: bool = True,
) -> str:
    """Findings grouped by rule, worst first, then the signal over depth.

    why: maps a rule id to one sentence on why it matters. blocks: draw with block characters, else with digits.
    """
    return "\n".join("\n".join(_full(report, columns, color, why or {}, blocks)) + "\n" for report in reports)


def _full(report: Report, columns: int, color: bool, why: Mapping[str, str], blocks: bool) -> list[str]:
    lines = [paint(line, "strong", color) for line in fill(visible(report.target, MAX_NAME), columns)]
    for _, group in groupby(ordered(report.findings), key=lambda f: (f.severity, f.rule)):
        lines += ["", *_group(list(group), columns, color, why)]
    if drawn := curves(report, columns, color, blocks):
        lines += ["", *drawn]
    if report.explanation is not None:
        lines += explanation(report.explanation, columns, color)
    lines.append("")
    style: Style = "good" if report.verdict == "clean" else "strong"
    lines += [paint(line, style, color) for line in fill(sentence(verdict_of(report)), columns)]
    notes = (*(visible(note) for note in report.coverage.notes), *accepted_lines(report))
    for line in (sentence(coverage_of(report)), *notes):
        lines += [paint(text, "dim", color) for text in fill(line, columns, rest="  ")]
    return lines + [paint(line, "dim", color) for line in _not_evaluated(report, columns)]


def _group(findings: list[Finding], columns: int, color: bool, why: Mapping[str, str]) -> list[str]:
    head = findings[0]
    label = f"{head.severity} {head.rule} "
    lines = fill(label + head.name, columns)
    lines[0] = paint(label, head.severity, color) + lines[0][len(label) :] if lines[0].startswith(label) else lines[0]
    left = MAX_SUBJECTS
    for message, alike in _by_message(findings):
        places = [place_of(finding.subject) or "the model" for finding in alike[:left]]
        if not places:
            break
        left -= len(places)
        where = fill(", ".join(places), columns, first="  ", rest="    ")
        lines += [paint(line, "strong", color) for line in where]
        lines += fill(visible(message), columns, first="    ", rest="    ")
    if len(findings) > MAX_SUBJECTS:
        more = f"and {len(findings) - MAX_SUBJECTS} more (concise and json output list all)"
        lines += fill(more, columns, first="  ", rest="  ")
    if head.rule in why:
        lines += _labelled("Why", why[head.rule], columns)
    advice, command = advice_of(head), next((f.fix.command for f in findings if f.fix and f.fix.command), None)
    if advice:
        lines += _labelled("Fix", advice, columns)
    if command:
        # In one piece however long: it is there to be copied.
        lines.append(f"  Run: {visible(command)}")
    return lines


def _by_message(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """Findings that say the same, together, in order of appearance."""
    alike: dict[str, list[Finding]] = {}
    for finding in findings:
        alike.setdefault(finding.message, []).append(finding)
    return list(alike.items())


def _labelled(label: str, text: str, columns: int) -> list[str]:
    return fill(visible(text), columns, first=f"  {label}: ", rest="  " + " " * (len(label) + 2))


def _not_evaluated(report: Report, columns: int) -> list[str]:
    reasons = Counter((row.rule, row.reason) for row in report.not_evaluated)
    lines: list[str] = []
    for (rule, reason), count in reasons.most_common(MAX_REASONS):
        times = f" on {count} subjects" if count > 1 else ""
        lines += fill(f"{rule} was not evaluated{times}: {visible(reason)}", columns, first="  ", rest="    ")
    left = sum(reasons.values()) - sum(count for _, count in reasons.most_common(MAX_REASONS))
    return lines + ([f"  and {left} more"] if left else [])


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first, then by rule, in the order of the model within a rule."""
    return sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), finding.rule))


def place_of(subject: SubjectName) -> str:
    """The name of a subject as one printable line: the layer, or the tensor where the layer has no name."""
    return visible(subject.name or subject.tensor or "", MAX_NAME)


def advice_of(finding: Finding) -> str:
    """What to do about a finding in one line, or nothing; the command that does it stands by itself."""
    fix = finding.fix
    if fix is None:
        return ""
    return fix.hint or _drawing(fix)


def _drawing(fix: Fix) -> str:
    """The initializer of a fix in words, or nothing."""
    if not fix.method or fix.method == "recommended":
        return "draw it with the initializer that its place calls for" if fix.method else ""
    shown = ", ".join(f"{name} {_value(value)}" for name, value in fix.params.items() if _is_plain(value))
    return f"draw it from {fix.method}" + (f" ({shown})" if shown else "")


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | float | int | str)


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def verdict_of(report: Report) -> str:
    """One line: the count of findings, "no findings", or why nothing was checked."""
    if report.verdict == "not_checked":
        return "not checked" + (f": {visible(report.error.message)}" if report.error else "")
    counts = [(getattr(report.summary, severity), severity) for severity in SEVERITIES]
    named = [
        f"{count} {severity}{'s' if count != 1 and severity != 'info' else ''}" for count, severity in counts if count
    ]
    apart = tally(report)
    return (", ".join(named) or "no findings") + (f" ({apart})" if apart else "")


def coverage_of(report: Report) -> str:
    """One line: the shares of parameters and operators that were understood, and how many checks gave no answer."""
    coverage = report.coverage
    text = f"coverage {percent(coverage.parameters)} of parameters, {percent(coverage.operators)} of operators"
    skipped = report.summary.not_evaluated
    return f"{text}, {skipped} check{'s' if skipped != 1 else ''} not evaluated" if skipped else text


def sentence(text: str) -> str:
    """With a capital at its start and a full stop at its end, and nothing else changed."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def percent(share: float) -> str:
    """A share as a percentage rounded down, so that only everything reads 100%."""
    tenths = int(share * 1000 + 1e-9)
    return f"{tenths // 10}%" if tenths % 10 == 0 else f"{tenths / 10:.1f}%"
