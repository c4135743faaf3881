"""GitHub workflow commands: annotations on the files of a pull request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from initadvisor.report.escape import MAX_MESSAGE, MAX_NAME, visible
from initadvisor.report.locate import Place, locate
from initadvisor.report.model import Report
from initadvisor.report.text import ordered, place_of, verdict_of
from initadvisor.rules.rule import Severity

MAX_SHOWN = 10
"""Annotations of one level that GitHub shows for a step; the others are counted in one of the next level."""

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}


def as_github(reports: Sequence[Report]) -> str:
    """The gravest findings as annotations, what could not be read first, then one line a target for any log reader.

    What was accepted is only counted.
    """
    shown: Counter[str] = Counter()
    lines = []
    places = {report.target: locate(report.target) for report in reports}
    for report in reports:
        if report.error is not None and _counted(shown, "error"):
            text = f"{visible(report.target, MAX_NAME)}: {report.error.message}"
            lines.append(_command("error", places[report.target], "not checked", text))
    for report in reports:
        for finding in ordered(report.findings):
            command = _COMMANDS[finding.severity]
            if _counted(shown, command):
                name = place_of(finding.subject)
                text = f"{name}: {finding.message}" if name else finding.message
                lines.append(_command(command, places[report.target], f"{finding.rule} {finding.name}", text))
    for command, count in shown.items():
        if count > MAX_SHOWN:
            lines.append(f"{count - MAX_SHOWN} more of level {command}; GitHub shows {MAX_SHOWN} a step")
    lines += [f"initadvisor: {visible(report.target, MAX_NAME)}: {_short(verdict_of(report))}" for report in reports]
    # "::" begins a command at the start of a line only, but the older "##[" does anywhere.
    return "".join(f"{line.replace('##[', '# #[')}\n" for line in lines)


def _counted(shown: Counter[str], command: str) -> bool:
    """Count one more annotation of a level; whether it is among those that are shown."""
    shown[command] += 1
    return shown[command] <= MAX_SHOWN


def _short(text: str) -> str:
    return visible(text, MAX_MESSAGE)


def _command(command: str, place: Place, title: str, text: str) -> str:
    where = f"file={_property(place.file)},line={place.line},title={_property(title)}"
    return f"::{command} {where}::{_data(text)}"


def _data(text: str) -> str:
    return _short(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
