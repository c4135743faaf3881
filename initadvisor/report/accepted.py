"""How reports say what was accepted: suppressed, or known to the baseline."""

from __future__ import annotations

from itertools import groupby

from initadvisor.report.escape import MAX_NAME, visible
from initadvisor.report.model import Report, Suppressed
from initadvisor.report.phrases import Say, english
from initadvisor.rules.finding import SubjectName

MAX_PLACES = 8
MAX_LINES = 40
"""Suppressions that a report for people lists."""


def accepted(apart: Suppressed) -> str:
    """One line on why a finding does not count."""
    if apart.kind == "baseline":
        return f"in the baseline {visible(apart.origin, MAX_NAME)}".rstrip()
    until = f", until {apart.expires}" if apart.expires else ""
    return f"suppressed: {visible(apart.reason, MAX_NAME)} ({visible(apart.origin, MAX_NAME)}{until})"


def tally(report: Report, say: Say = english) -> str:
    """ "2 suppressed, 3 in the baseline", or nothing."""
    counts = (
        ("{count} suppressed", report.summary.suppressed),
        ("{count} in the baseline", report.summary.baselined),
    )
    return say(", ").join(say(phrase, count=count) for phrase, count in counts if count)


def lines(report: Report) -> list[str]:
    """Each suppression that was used, with the rule and the subjects that it covers; the baseline is only counted."""
    apart = sorted((s for s in report.suppressed if s.kind != "baseline"), key=_group)
    found = []
    for _, group in groupby(apart, key=_group):
        members = list(group)
        places = ", ".join(_place(each.finding.subject) for each in members[:MAX_PLACES])
        more = f" and {len(members) - MAX_PLACES} more" if len(members) > MAX_PLACES else ""
        found.append(f"{members[0].finding.rule} on {places}{more} is {accepted(members[0])}")
    left = len(found) - MAX_LINES
    return found if left <= 0 else [*found[:MAX_LINES], f"and {left} more suppressions (json output lists all)"]


def _group(apart: Suppressed) -> tuple[str, str, str, str]:
    return apart.finding.rule, apart.kind, apart.origin, apart.reason


def _place(subject: SubjectName) -> str:
    return visible(subject.name or subject.tensor or "", MAX_NAME) or "the model"
