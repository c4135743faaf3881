"""Stored reports: unpacked within bounds, rendered in the formats of the command line, compared."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping

from pydantic import ValidationError

from initadvisor.report import FORMATS, Report, render
from initadvisor.rules import Rule
from initadvisor.service.problems import Problem
from initadvisor.service.schemas import LayerChange

_log = logging.getLogger("initadvisor.service")

MEDIA_TYPES = {
    "json": "application/json",
    "sarif": "application/sarif+json",
    "html": "text/html",
    "markdown": "text/markdown",
    "junit": "application/xml",
    "gitlab": "application/vnd.gitlab.code-quality+json",
    "github": "text/plain",
    "concise": "text/plain",
    "full": "text/plain",
    "jsonl": "application/jsonl",
}
"""What each format of a report is sent as."""

MAX_REPORT = 512 << 20
"""Bytes of a report, unpacked."""


def unpack(body: bytes) -> bytes:
    """The JSON of a stored report; raises Problem where it is beyond all measure."""
    unpacker = zlib.decompressobj(wbits=31)
    text = unpacker.decompress(body, MAX_REPORT)
    if unpacker.unconsumed_tail:
        raise Problem(500, "the report is too large to be shown")
    return text


def load(body: bytes) -> Report:
    """A stored report; raises Problem where this version cannot read it."""
    try:
        return Report.model_validate_json(unpack(body))
    except (ValidationError, zlib.error) as error:
        # One of another version, or of a worker that a file took over: the API still gives out what is stored.
        _log.error("a stored report cannot be read: %s", type(error).__name__)
        raise Problem(500, "the stored report is none that this version reads", kind="stored") from error


def formats() -> tuple[str, ...]:
    """The formats that this version can render."""
    return FORMATS


def rendered(report: Report, output_format: str, rules: Mapping[str, Rule], why: Mapping[str, str]) -> str:
    """A report in a format of the command line."""
    return render([report], output_format, why=why, rules=rules)  # type: ignore[arg-type]


_FIGURES = ("output_rms", "difference_rms", "cosine", "gradient_rms", "weight_gradient_rms")
_CLOSE = 1e-6
"""Relative difference below which two figures are the same: beyond what storing them as text keeps, nothing more."""


def changed_layers(a: Report, b: Report) -> list[LayerChange]:
    """Layers that one report lacks, or that differ in shape, draw, recommendation or predicted signal."""
    rows_a, rows_b = ({row.name: row for row in report.layers} for report in (a, b))
    signal_a, signal_b = ({row.layer: row for row in report.signal} for report in (a, b))
    changes = []
    for name in {**rows_a, **rows_b}:
        own_a, own_b = signal_a.get(name), signal_b.get(name)
        pairs = {figure: (getattr(own_a, figure, None), getattr(own_b, figure, None)) for figure in _FIGURES}
        moved = {figure: pair for figure, pair in pairs.items() if _differ(*pair)}
        if moved or rows_a.get(name) != rows_b.get(name):
            changes.append(LayerChange(name=name, a=rows_a.get(name), b=rows_b.get(name), signal=moved))
    return changes


def _differ(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is not b
    return abs(a - b) > _CLOSE * max(abs(a), abs(b))
