"""GitHub workflow commands: annotations on the files of a pull request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from initadvisor.report.escape import visible
from initadvisor.report.locate import Place, locate
from initadvisor.report.model import Report
from initadvisor.report.text import ordered, place_of, verdict_of
from initadvisor.rules.rule import Severity

MAX_SHOWN = 10
"""Annotations of one level that GitHub shows for a step; the others are counted in one of the next level."""

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}


def as_github(reports: Sequence[Report]) -> str:
    """The gravest findings as annotations, then one line a target that any log reader understands."""
    shown: Counter[str] = Counter()
    lines = []
    for report in reports:
        place = locate(report.target)
        if report.error is not None:
            lines.append(_command("error", place, "not checked", f"{report.target}: {report.error.message}"))
            shown["error"] += 1
        for finding in ordered(report.findings):
            command = _COMMANDS[finding.severity]
            shown[command] += 1
            if shown[command] <= MAX_SHOWN:
                name = place_of(finding.subject)
                text = f"{name}: {finding.message}" if name else finding.message
                lines.append(_command(command, place, f"{finding.rule} {finding.name}", text))
    for command, count in shown.items():
        if count > MAX_SHOWN:
            lines.append(f"{count - MAX_SHOWN} more of level {command}; GitHub shows {MAX_SHOWN} a step")
    lines += [f"initadvisor: {visible(report.target)}: {verdict_of(report)}" for report in reports]
    # "::" begins a command at the start of a line only, but the older "##[" does anywhere.
    return "".join(f"{line.replace('##[', '# #[')}\n" for line in lines)


def _command(command: str, place: Place, title: str, text: str) -> str:
    where = f"file={_property(place.file)},line={place.line},title={_property(title)}"
    return f"::{command} {where}::{_data(text)}"


def _data(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
