"""json and jsonl: the report model as data."""

from __future__ import annotations

import json
from collections.abc import Iterable

from initadvisor.report.model import Report


def as_json(reports: Iterable[Report]) -> str:
    """One report as an object, several as an array."""
    rows = [report.model_dump(mode="json") for report in reports]
    return json.dumps(rows[0] if len(rows) == 1 else rows, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def as_jsonl(reports: Iterable[Report]) -> str:
    """One report a line."""
    lines = (
        json.dumps(r.model_dump(mode="json"), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        for r in reports
    )
    return "".join(f"{line}\n" for line in lines)
