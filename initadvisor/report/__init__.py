"""The report model and its renderers: `render(reports, "concise")` gives text, no renderer prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from initadvisor.report.details import Details, FlowStep, WeightDensity, WeightHistogram
from initadvisor.report.full import as_full
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
    Suppressed,
    Tool,
    Verdict,
    json_schema,
)
from initadvisor.report.phrases import LANGUAGES, Language, speaker
from initadvisor.report.text import as_concise
from initadvisor.rules.rule import Rule, Severity

Format = Literal["full", "concise", "json", "jsonl", "sarif", "junit", "github", "gitlab", "markdown", "html"]
FORMATS: tuple[Format, ...] = (
    "full", "concise", "json", "jsonl", "sarif", "junit", "github", "gitlab", "markdown", "html",
)  # fmt: skip
_FORGES = ("sarif", "junit", "github", "gitlab", "markdown")

__all__ = [
    "FORMATS",
    "LANGUAGES",
    "SCHEMA_VERSION",
    "CoverageRow",
    "Details",
    "DrawnFrom",
    "Explanation",
    "FlowStep",
    "Format",
    "Language",
    "LayerRow",
    "PathStep",
    "Problem",
    "Recommended",
    "Report",
    "SignalRow",
    "Summary",
    "Suppressed",
    "Tool",
    "Verdict",
    "WeightDensity",
    "WeightHistogram",
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
    rules: Mapping[str, Rule] | None = None,
    fail_on: Severity | Sequence[Severity] = "error",
    language: Language = "en",
) -> str:
    """The reports as text of a format. `columns`, `color` and `blocks` matter to "full" alone.

    why: rule id -> one sentence, for "full", "markdown" and "html". blocks: whether the output can hold the characters
    that curves are drawn with; without them, digits are. rules: by id, for the descriptions in "sarif" and "html".
    fail_on: from which severity a finding is a failed case of "junit", for all reports or for each. language: of what
    rules say, where `rules` carry it, and of what "full" says around that.
    """
    titles: Mapping[str, str] = {}
    if language != "en":
        from initadvisor.report.translation import translated

        reports, why, titles = translated(reports, rules or {}, why or {}, language)
    if output_format == "html":
        from initadvisor.report.html import as_html

        return as_html(reports, rules, why)
    if output_format in _FORGES:
        return _for_forge(reports, output_format, why, rules, fail_on)
    if output_format == "json":
        return as_json(reports)
    if output_format == "jsonl":
        return as_jsonl(reports)
    if output_format == "concise":
        return as_concise(reports)
    say = speaker(language)
    return as_full(reports, columns=columns, color=color, why=why, blocks=blocks, titles=titles, say=say)


def _for_forge(
    reports: Sequence[Report],
    output_format: Format,
    why: Mapping[str, str] | None,
    rules: Mapping[str, Rule] | None,
    fail_on: Severity | Sequence[Severity],
) -> str:
    """The formats of forges and dashboards; read only where one is wanted."""
    from initadvisor.report import github, gitlab, junit, markdown, sarif

    if output_format == "sarif":
        return sarif.as_sarif(reports, rules)
    if output_format == "junit":
        return junit.as_junit(reports, fail_on)
    if output_format == "github":
        return github.as_github(reports)
    return gitlab.as_gitlab(reports) if output_format == "gitlab" else markdown.as_markdown(reports, why)
