"""The report model and its renderers: `render(reports, "concise")` gives text, no renderer prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from initadvisor.report.machine import as_json, as_jsonl
from initadvisor.report.model import (
    SCHEMA_VERSION,
    CoverageRow,
    DrawnFrom,
    Explanation,
    LayerRow,
    PathStep,
    Problem,
    Recommended,
    Report,
    SignalRow,
    Summary,
    Tool,
    Verdict,
    json_schema,
)
from initadvisor.report.text import as_concise, as_full

Format = Literal["full", "concise", "json", "jsonl"]
FORMATS: tuple[Format, ...] = ("full", "concise", "json", "jsonl")

__all__ = [
    "FORMATS",
    "SCHEMA_VERSION",
    "CoverageRow",
    "DrawnFrom",
    "Explanation",
    "Format",
    "LayerRow",
    "PathStep",
    "Problem",
    "Recommended",
    "Report",
    "SignalRow",
    "Summary",
    "Tool",
    "Verdict",
    "json_schema",
    "render",
]


def render(
    reports: Sequence[Report],
    output_format: Format,
    *,
    columns: int = 100,
    color: bool = False,
    why: Mapping[str, str] | None = None,
    blocks: bool = True,
) -> str:
    """The reports as text of a format. `columns`, `color`, `why` and `blocks` matter to "full" alone.

    blocks: whether the output can hold the characters that curves are drawn with; without them, digits are.
    """
    if output_format == "json":
        return as_json(reports)
    if output_format == "jsonl":
        return as_jsonl(reports)
    if output_format == "concise":
        return as_concise(reports)
    return as_full(reports, columns=columns, color=color, why=why, blocks=blocks)
