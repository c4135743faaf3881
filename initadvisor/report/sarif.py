"""SARIF 2.1.0, in the subset and within the limits that GitHub code scanning accepts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from initadvisor.report.accepted import accepted
from initadvisor.report.escape import MAX_MESSAGE, MAX_NAME, visible
from initadvisor.report.locate import Place, locate
from initadvisor.report.model import Report, Suppressed
from initadvisor.report.text import ordered, place_of
from initadvisor.rules.finding import EvidenceValue, Finding
from initadvisor.rules.rule import HEADINGS, Rule, Severity

MAX_RESULTS = 5_000
"""Results that code scanning shows of one run; the gravest come first, and what is left out is said."""

MAX_ITEMS = 32
"""Entries of one list of evidence."""

_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_sarif(reports: Sequence[Report], rules: Mapping[str, Rule] | None = None) -> str:
    """One run over all targets, as code scanning takes one of a tool. rules: by id, for the descriptions of what fired.

    What was accepted comes last, each with its `suppressions`.
    """
    counting = [_Row(report, finding) for report in reports for finding in report.findings]
    gravest = {id(finding): at for at, finding in enumerate(ordered(row.finding for row in counting))}
    counting.sort(key=lambda row: gravest[id(row.finding)])
    found = counting + [_Row(report, apart.finding, apart) for report in reports for apart in report.suppressed]
    kept = list(islice(found, MAX_RESULTS))
    used = sorted({row.finding.rule: row.finding for row in reversed(kept)}.values(), key=lambda finding: finding.rule)
    places = {report.target: locate(report.target) for report in reports}
    number = {finding.rule: at for at, finding in enumerate(used)}
    run = {
        "tool": {
            "driver": {
                "name": "initadvisor",
                "semanticVersion": reports[0].tool.version if reports else "0.0.0",
                "rules": [_descriptor(finding, (rules or {}).get(finding.rule)) for finding in used],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(reports, len(found) - len(kept), places)],
        "results": [_result(row, number[row.finding.rule], places) for row in kept],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, allow_nan=False) + "\n"


class _Row(NamedTuple):
    report: Report
    finding: Finding
    apart: Suppressed | None = None


def _descriptor(finding: Finding, rule: Rule | None) -> dict[str, Any]:
    row: dict[str, Any] = {"id": finding.rule, "name": "".join(w.title() for w in finding.name.split("-"))}
    row["shortDescription"] = {"text": finding.name.replace("-", " ")}
    row["defaultConfiguration"] = {"level": _LEVELS[finding.severity]}
    row["properties"] = {"tags": ["initialization"]}
    if rule is not None:
        what = rule.sections.get(HEADINGS[0], "").strip()
        page = "\n\n".join(f"## {name}\n\n{text.strip()}" for name, text in rule.sections.items() if text.strip())
        row["fullDescription"] = {"text": what[:MAX_MESSAGE] or finding.name}
        row["help"] = {"text": f"initadvisor rule {finding.rule}", "markdown": page or finding.name}
        row["properties"]["tags"].append(rule.category)
    return row


def _invocation(reports: Sequence[Report], left_out: int, places: Mapping[str, Place]) -> dict[str, Any]:
    notes: list[dict[str, Any]] = [
        {
            "level": "error",
            "message": {"text": _plain(f"{report.target} was not checked: {report.error.message}")},
            "locations": [{"physicalLocation": _physical(places[report.target])}],
        }
        for report in reports
        if report.error is not None
    ]
    if left_out:
        notes.append({"level": "warning", "message": {"text": f"{left_out} findings beyond {MAX_RESULTS} left out"}})
    checked = all(report.verdict != "not_checked" for report in reports)
    return {"executionSuccessful": checked, "toolExecutionNotifications": notes}


def _result(row: _Row, index: int, places: Mapping[str, Place]) -> dict[str, Any]:
    report, finding, apart = row
    name = place_of(finding.subject)
    where: dict[str, Any] = {"physicalLocation": _physical(places[report.target])}
    if name:
        kind = "parameter" if finding.subject.kind == "tensor" else "object"
        where["logicalLocations"] = [
            {"fullyQualifiedName": name, "name": name.rpartition(".")[2] or name, "kind": kind}
        ]
    text = f"{name}: {finding.message}" if name else finding.message
    # Forges tell findings on one line apart by this hash alone, so it must not be that of the line.
    key = hashlib.sha256(f"{report.target}\0{finding.fingerprint}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": _plain(text)},
        "locations": [where],
        "partialFingerprints": {"primaryLocationLineHash": f"{key}:1", "initadvisor/v1": finding.fingerprint},
        "properties": {
            "target": visible(report.target, MAX_NAME),
            "evidence": {fact: _short(value) for fact, value in finding.evidence.items()},
        },
    }
    if apart is not None:
        kind = "external" if apart.kind in ("configuration", "baseline") else "inSource"
        why = apart.reason if apart.kind != "baseline" else accepted(apart)
        result["suppressions"] = [{"kind": kind, "status": "accepted", "justification": visible(why, MAX_MESSAGE)}]
    return result


def _short(value: EvidenceValue) -> EvidenceValue:
    """Evidence with bounds: a list may name every gate, and a name may be as long as it likes."""
    if isinstance(value, str):
        return visible(value, MAX_NAME)
    if isinstance(value, list):
        return [visible(item, MAX_NAME) if isinstance(item, str) else item for item in value[:MAX_ITEMS]]  # type: ignore[return-value]
    return value


def _physical(place: Place) -> dict[str, Any]:
    return {"artifactLocation": {"uri": _uri(place.file)}, "region": {"startLine": place.line}}


def _uri(file: str) -> str:
    from urllib.parse import quote

    return quote(file, errors="replace")


def _plain(text: str) -> str:
    """A message without embedded links and placeholders, which brackets and braces would make (SARIF 3.11)."""
    text = visible(text)[:MAX_MESSAGE]
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("{", "{{").replace("}", "}}")
