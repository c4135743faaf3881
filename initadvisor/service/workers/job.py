"""One job, in the worker: check, compress the report, write the outcome last."""

from __future__ import annotations

import errno
import gzip
import json
import math
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from initadvisor.service.workers.messages import Job, names

if TYPE_CHECKING:
    from initadvisor.engine import Checker
    from initadvisor.report import Report

OUTCOME, REPORT, PROGRESS, LOG = "outcome.json", "report.json.gz", "progress.json", "stderr.txt"
_ONE_FILE = "a service takes one file: save the model with its weights inside, or check it without a service"
_BETWEEN = 0.2
"""Seconds between two notes of progress."""


def run(job: Job, checker: Checker, notes: list[str]) -> None:
    """Do a job and leave its outcome in its folder; raises nothing that a model can bring about."""
    folder = Path(job.folder)
    try:
        report = _check(job, checker)
        text = _without_place(report.model_dump_json(), job.inside)
        (folder / REPORT).write_bytes(gzip.compress(text.encode(), compresslevel=5, mtime=0))
        outcome = summary(report)
    except MemoryError:
        outcome = {
            "failure": {
                "kind": "OutOfMemory",
                "message": f"the check needs more than the {job.memory >> 20} MiB that a job may use",
            }
        }
    except OSError as error:
        traceback.print_exc()
        outcome = {"failure": {"kind": "WorkerError", "message": f"the worker could not write: {error.strerror}"}}
    _write(folder / OUTCOME, json.dumps({**outcome, "notes": notes}).encode())


def _without_place(text: str, inside: str) -> str:
    """The report without where the server keeps an upload, which messages about external data say."""
    place = json.dumps(inside, ensure_ascii=False)[1:-1]
    return text.replace(f"{place}/", "").replace(place, "the upload")


def _check(job: Job, checker: Checker) -> Report:
    from initadvisor.errors import InitAdvisorError, NotFoundError

    chosen, load = _asked(job, checker)
    try:
        report = chosen.check(job.target, load=load, progress=_teller(Path(job.folder) / PROGRESS), details=True)
    except MemoryError:
        raise
    except Exception as error:
        if _ran_out_of_memory(error):
            raise MemoryError from error
        if not isinstance(error, InitAdvisorError):
            traceback.print_exc()
        if isinstance(error, NotFoundError) and not job.trusted:  # the upload is there: what it refers to is not
            error = NotFoundError(error.message, hint=_ONE_FILE)
        report = chosen.not_checked(job.target, error)
    return report.model_copy(update={"target": job.label}) if job.label else report


def _ran_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory is what an error comes down to: the limit here is the service's, no fault of the file."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        error = error.__cause__ or error.__context__
    return False


def _asked(job: Job, checker: Checker) -> tuple[Checker, Any]:
    """The checker with the job's own selection of rules, and how its target is read."""
    from dataclasses import replace

    from initadvisor.engine import Checker

    shapes = job.options.get("input_shapes")
    load = replace(
        checker.settings.load,
        input_shapes=tuple(tuple(int(size) for size in each) for each in shapes) if shapes else None,
    )
    own = {key: names(job.options.get(key)) for key in ("select", "ignore", "extend_select")}
    if not any(own.values()) and not job.options.get("preview"):
        return checker, load
    settings = checker.settings
    return Checker(
        replace(
            settings,
            select=own["select"] or settings.select,
            ignore=(*settings.ignore, *own["ignore"]),
            extend_select=(*settings.extend_select, *own["extend_select"]),
            preview=bool(job.options.get("preview")) or settings.preview,
        ),
        like=checker,
    ), load


def _teller(file: Path) -> Callable[..., None]:
    told = -_BETWEEN

    def tell(stage: str, done: int = 0, total: int = 0) -> None:
        nonlocal told
        if monotonic() - told >= _BETWEEN or not total:
            told = monotonic()
            _write(file, json.dumps({"stage": stage, "done": done, "total": total}).encode())

    return tell


def summary(report: Report) -> dict[str, Any]:
    """What lists and histories show of a report."""
    return {
        "verdict": report.verdict,
        "errors": report.summary.error,
        "warnings": report.summary.warning,
        "infos": report.summary.info,
        "not_evaluated": report.summary.not_evaluated,
        "coverage": report.coverage.parameters,
        "figures": _figures(report),
        "rules": sorted({finding.rule for finding in report.findings})[:1000],
    }


def _figures(report: Report) -> dict[str, float]:
    """How many decades the predicted signal and gradient span over the layers: 0 is level, 6 is lost in float16."""
    spans = {
        "signal_decades": [row.output_rms for row in report.signal],
        "gradient_decades": [row.gradient_rms for row in report.signal],
    }
    figures = {"layers": float(len(report.layers))}
    for name, values in spans.items():
        known = [math.log10(value) for value in values if value is not None and 0.0 < value < math.inf]
        if known:
            figures[name] = max(known) - min(known)
    return figures


def _write(file: Path, content: bytes) -> None:
    """Write as a whole or not at all: readers never see half."""
    part = file.with_suffix(".part")
    part.write_bytes(content)
    os.replace(part, file)
