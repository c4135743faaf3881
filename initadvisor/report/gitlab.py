"""GitLab code quality: a JSON array of issues."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from initadvisor.report.escape import MAX_MESSAGE, visible
from initadvisor.report.locate import Place, locate
from initadvisor.report.model import Report
from initadvisor.report.text import ordered, place_of
from initadvisor.rules.rule import Severity

_SEVERITIES: dict[Severity, str] = {"error": "critical", "warning": "minor", "info": "info"}


def as_gitlab(reports: Sequence[Report]) -> str:
    """The issues of all targets; a target that could not be read is one of severity "blocker".

    What was accepted is left out: this format has no place for it, and a merge request would show it as new.
    """
    rows = []
    for report in reports:
        place = locate(report.target)
        if report.error is not None:
            text = f"{report.target} was not checked: {report.error.message}"
            rows.append(_row(text, report.error.kind, "blocker", place, report.target, "not checked"))
        for finding in ordered(report.findings):
            name = place_of(finding.subject)
            text = f"{name}: {finding.message}" if name else finding.message
            severity = _SEVERITIES[finding.severity]
            rows.append(_row(text, finding.rule, severity, place, report.target, finding.fingerprint))
    return json.dumps(rows, indent=1) + "\n"


def _row(text: str, name: str, severity: str, place: Place, *identity: str) -> dict[str, Any]:
    key = hashlib.sha256("\0".join(identity).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return {
        "description": visible(text, MAX_MESSAGE),
        "check_name": name,
        "fingerprint": key,
        "severity": severity,
        "location": {"path": place.file, "lines": {"begin": place.line}},
    }
