"""JUnit XML: a suite a target, a case a finding, so that a test dashboard shows them beside the tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from initadvisor.report.accepted import accepted
from initadvisor.report.escape import MAX_MESSAGE, MAX_NAME, visible
from initadvisor.report.model import Report
from initadvisor.report.text import advice_of, ordered, place_of
from initadvisor.rules.finding import Finding
from initadvisor.rules.rule import SEVERITIES, Severity


def as_junit(reports: Sequence[Report], fail_on: Severity | Sequence[Severity] = "error") -> str:
    """Findings from `fail_on` on are failures, milder ones pass with their text as output; unread targets are errors.

    Rules that gave no answer are skipped cases, one for each rule and reason; so are findings that were accepted.
    fail_on: one for all reports, or one for each.
    """
    levels: Sequence[Severity] = [fail_on] * len(reports) if isinstance(fail_on, str) else fail_on
    suites = [_suite(report, level) for report, level in zip(reports, levels, strict=True)]
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="initadvisor">\n'
        + "".join(suites)
        + "</testsuites>\n"
    )


def _suite(report: Report, fail_on: Severity) -> str:
    target = visible(report.target, MAX_NAME)
    cases: list[str] = []
    failures = errors = 0
    if report.error is not None:
        errors = 1
        inner = f"<error type={_attribute(report.error.kind)} message={_attribute(report.error.message)}/>"
        cases.append(_case(target, "read", inner))
    for finding in ordered(report.findings):
        failing = SEVERITIES.index(finding.severity) <= SEVERITIES.index(fail_on)
        failures += failing
        cases.append(_case(target, _name(finding), _failure(finding) if failing else _output(finding)))
    cases += [
        _case(target, _name(apart.finding), f"<skipped message={_attribute(accepted(apart))}/>")
        for apart in report.suppressed
    ]
    skipped = Counter((row.rule, row.reason) for row in report.not_evaluated)
    for (rule, reason), count in skipped.items():
        times = f" (on {count} subjects)" if count > 1 else ""
        cases.append(_case(target, rule, f"<skipped message={_attribute(reason + times)}/>"))
    if not cases:
        cases.append(_case(target, "no findings", ""))
    left_out = len(skipped) + len(report.suppressed)
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="{left_out}"'
    return f"<testsuite name={_attribute(target)} {counts}>\n" + "".join(cases) + "</testsuite>\n"


def _name(finding: Finding) -> str:
    place = place_of(finding.subject)
    return f"{finding.rule} {finding.name} {place}".rstrip()


def _case(target: str, name: str, inner: str) -> str:
    head = f"<testcase classname={_attribute(target)} name={_attribute(name)}"
    return f"{head}>{inner}</testcase>\n" if inner else f"{head}/>\n"


def _failure(finding: Finding) -> str:
    advice = advice_of(finding)
    body = escape(visible(finding.message, MAX_MESSAGE) + (f"\nFix: {visible(advice, MAX_MESSAGE)}" if advice else ""))
    return f"<failure type={_attribute(finding.severity)} message={_attribute(finding.message)}>{body}</failure>"


def _output(finding: Finding) -> str:
    return f"<system-out>{escape(visible(f'{finding.severity}: {finding.message}', MAX_MESSAGE))}</system-out>"


def _attribute(text: str) -> str:
    # XML has no escape for control characters and surrogates: they are spelled out.
    return quoteattr(visible(text, MAX_MESSAGE))
