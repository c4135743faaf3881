"""What all reports for people say in the same words, and `concise`, which has one line a finding."""

from __future__ import annotations

from collections.abc import Iterable

from initadvisor.report.accepted import tally
from initadvisor.report.escape import MAX_NAME, visible
from initadvisor.report.model import Report
from initadvisor.report.phrases import Say, english
from initadvisor.rules.finding import Finding, Fix, SubjectName
from initadvisor.rules.rule import SEVERITIES

MAX_SUBJECTS = 8
"""Subjects listed under one rule where a report has no room for all; concise and json list all."""


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


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first, then by rule, in the order of the model within a rule."""
    return sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), finding.rule))


def place_of(subject: SubjectName) -> str:
    """The name of a subject as one printable line: the layer, or the tensor where the layer has no name."""
    return visible(subject.name or subject.tensor or "", MAX_NAME)


def advice_of(finding: Finding, say: Say = english) -> str:
    """What to do about a finding in one line, or nothing; the command that does it stands by itself."""
    fix = finding.fix
    if fix is None:
        return ""
    return fix.hint or _drawing(fix, say)


def _drawing(fix: Fix, say: Say) -> str:
    """The initializer of a fix in words, or nothing."""
    if not fix.method or fix.method == "recommended":
        return say("draw it with the initializer that its place calls for") if fix.method else ""
    blocks = fix.params.get("blocks")
    if fix.method == "blocks" and isinstance(blocks, list):
        return _drawing_blocks(blocks, say)
    shown = ", ".join(_param(name, value) for name, value in fix.params.items() if _is_plain(value))
    if not shown:
        return say("draw it from {method}", method=fix.method)
    return say("draw it from {method} ({params})", method=fix.method, params=shown)


def _drawing_blocks(blocks: Iterable[object], say: Say) -> str:
    """Which part of a weight that holds several is drawn from what: gates, query and key and value, padding."""
    parts: dict[str, list[str]] = {}
    for block in blocks:
        if isinstance(block, dict) and isinstance(block.get("spec"), dict):
            parts.setdefault(str(block["spec"].get("method")), []).append(str(block.get("name")))
    drawn = [say("{names} from {method}", names=", ".join(names), method=method) for method, names in parts.items()]
    return say("draw {drawn}, each block by itself", drawn=say(", ").join(drawn))


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | float | int | str)


def _param(name: str, value: object) -> str:
    if value is True:
        return name
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"


def verdict_of(report: Report, say: Say = english) -> str:
    """One line: the count of findings, "no findings", or why nothing was checked."""
    if report.verdict == "not_checked":
        if report.error is None:
            return say("not checked")
        return say("not checked: {reason}", reason=visible(report.error.message))
    named = []
    for severity in SEVERITIES:
        count = getattr(report.summary, severity)
        plural = "s" if count != 1 and severity != "info" else ""
        if count:
            named.append(say(f"{{count}} {severity}{plural}", count=count))
    text = say(", ").join(named) or say("no findings")
    return f"{text} ({apart})" if (apart := tally(report, say)) else text


def coverage_of(report: Report, say: Say = english) -> str:
    """One line: the shares of parameters and operators that were understood, and how many checks gave no answer."""
    coverage = report.coverage
    text = say(
        "coverage {parameters} of parameters, {operators} of operators",
        parameters=percent(coverage.parameters),
        operators=percent(coverage.operators),
    )
    if coverage.capture in ("module tree", "state dict"):
        text = say("coverage {parameters} of parameters, no operators", parameters=percent(coverage.parameters))
    if coverage.capture == "data":
        text = say("data alone, no model")
    skipped = report.summary.not_evaluated
    if not skipped:
        return text
    phrase = "{count} checks not evaluated" if skipped != 1 else "{count} check not evaluated"
    return text + say(", ") + say(phrase, count=skipped)


def sentence(text: str, say: Say = english) -> str:
    """With a capital at its start and a full stop at its end, and nothing else changed; the stop is the language's."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}{say('.')}"


def percent(share: float) -> str:
    """A share as a percentage rounded down, so that only everything reads 100%."""
    tenths = int(share * 1000 + 1e-9)
    return f"{tenths // 10}%" if tenths % 10 == 0 else f"{tenths / 10:.1f}%"
