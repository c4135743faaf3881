"""The reports of `initadvisor pretrained` for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from initadvisor.report.escape import visible
from initadvisor.report.pretrained import (
    Advice,
    EntryRow,
    LoadReport,
    PretrainedReport,
    Recognised,
    WeightsRow,
)

MOST_ROWS = 8
"""Rows of a kind that are shown; the JSON has all."""


def report_as_text(report: PretrainedReport) -> str:
    """What the model is, which weights there are, where they should come from."""
    return _joined([*_recognised(report), *_weights(report.weights), *_advice(report), *_notes(report.notes)])


def load_as_text(report: LoadReport) -> str:
    """What a checkpoint gave a model, list by list."""
    lines = [f"{report.file} -> {report.target}: {_VERDICTS[report.verdict]}, {report.covered:.1%} of the backbone"]
    if report.prefix_removed or report.prefix_added:
        lines.append(f'  prefix "{report.prefix_removed}" of the file read as "{report.prefix_added}"')
    for title, rows in (
        ("matched", report.matched),
        ("renamed", report.renamed),
        ("adapted", report.adapted),
        ("drawn anew", report.redrawn),
        ("left as they were", report.kept),
        ("mismatched", report.mismatched),
        ("missing", report.missing),
    ):
        lines += _rows(title, rows, every=title not in ("matched", "renamed", "left as they were"))
    if report.unexpected:
        shown = ", ".join(report.unexpected[:MOST_ROWS])
        lines.append(f"  unexpected: {len(report.unexpected)} ({shown}{', ...' if _more(report.unexpected) else ''})")
    lines += [f"  the file looks like {_said(found)}" for found in report.looks_like]
    lines += [f"  note: {note}" for note in report.notes]
    if report.output and report.written:
        lines.append(f"  written to {report.output}")
    elif not report.written:
        lines.append("  nothing was written")
    return _joined(lines)


_VERDICTS = {
    "complete": "complete",
    "partial": "PARTLY loaded",
    "foreign": "another model's weights",
}


def _rows(title: str, rows: Sequence[EntryRow], every: bool) -> Iterator[str]:
    if not rows:
        return
    yield f"  {title}: {len(rows)}"
    for row in rows[: MOST_ROWS if every else 0]:
        source = f" from {row.source}" if row.source not in (None, row.name) else ""
        yield f"    {row.name}{source}: {row.reason}" if row.reason else f"    {row.name}{source}"
    if every and _more(rows):
        yield f"    ... and {len(rows) - MOST_ROWS} more (--output-format json lists all)"


def _more(rows: Sequence[object]) -> bool:
    return len(rows) > MOST_ROWS


def _recognised(report: PretrainedReport) -> Iterator[str]:
    if not report.recognised:
        yield f"{report.target}: no architecture that the installed libraries have weights for was recognised"
        return
    for index, found in enumerate(report.recognised):
        yield f"{report.target if not index else '  or'}: {_said(found)}"
        for difference in found.differences:
            yield f"    {difference}"


def _said(found: Recognised) -> str:
    kind = {"name": "by its name", "configuration": "by its configuration", "shapes": "by its shapes"}[found.by]
    where = f" at {found.where}" if found.where else ""
    likeness = "" if found.exact else f", {found.share:.0%} of the weights alike"
    return f"{found.library} {found.architecture}{where} ({kind}{likeness})"


def _weights(rows: Sequence[WeightsRow]) -> Iterator[str]:
    for row in rows:
        yield ""
        yield f"  {row.library} {row.architecture} {row.name}"
        yield f"    trained on     {' then '.join(row.trained_on) or 'not stated by the library'}"
        yield f"    licence        {row.license or 'not stated by the library: see its source'}"
        measured = ", ".join(f"{name} {value:g}" for name, value in row.accuracy.items())
        yield f"    accuracy       {measured or 'not stated by the library'}"
        yield f"    preprocessing  {_written(row.preprocessing) or 'see its source'}"
        yield f"    load           {row.load}"
        if row.url:
            yield f"    source         {row.url}"


def _written(preprocessing: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in preprocessing.items())


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "x".join(_value(each) for each in value.values())
    if isinstance(value, list | tuple):
        values = [_value(each) for each in value]
        return values[0] if len(values) == 1 else f"({', '.join(values)})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _advice(report: PretrainedReport) -> Iterator[str]:
    if report.advice:
        yield ""
        yield f"  Advice for the domain {report.domain}:"
    for advice in report.advice:
        yield f"  - {advice.text} [{advice.source}]"
        yield from _domain(advice)


def _domain(advice: Advice) -> Iterator[str]:
    for weights in advice.weights:
        mark = ", for this architecture" if weights.fits else f", for {', '.join(weights.architectures)}"
        yield f"      {weights.name}{mark}: trained on {weights.trained_on}; licence: {weights.license}"
        yield f"        inputs: {weights.inputs}; {weights.url}"


def _notes(notes: Sequence[str]) -> list[str]:
    return ["", *(f"  note: {note}" for note in notes)] if notes else []


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{visible(line)}\n" for line in lines)
