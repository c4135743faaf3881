"""What a tracker has to take, and how reports are given to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from initadvisor.report import Report

PREFIX = "initadvisor"
MAX_TAG = 200
"""Characters of a name; MLflow takes 250."""


class Writer(Protocol):
    """Where numbers over the steps go. Names are paths such as "initadvisor/gradient_norm"; NaN is never given."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write one number for each name."""

    def histogram(self, name: str, values: np.ndarray, step: int) -> None:
        """Write the distribution of a flat, finite array."""

    def text(self, name: str, text: str, step: int) -> None:
        """Write a text over several lines."""


def tag(*parts: str) -> str:
    """A name that every tracker takes, from parts that may come from a hostile model."""
    path = "/".join((PREFIX, *parts))
    return re.sub(r"[^A-Za-z0-9_./ -]|\.\.|//", "_", path)[:MAX_TAG].strip()


def write_reports(writer: Writer, reports: Sequence[Report], step: int) -> None:
    """Counts of findings, shares of coverage, and the concise text of each report."""
    from initadvisor.report import render

    for report in reports:
        kind = "check" if report.probe is None else "probe"
        counts = {severity: float(getattr(report.summary, severity)) for severity in ("error", "warning", "info")}
        shares = {"coverage_parameters": report.coverage.parameters, "coverage_operators": report.coverage.operators}
        writer.scalars({tag(kind, name): value for name, value in (counts | shares).items()}, step)
        writer.text(tag(kind, "report"), render([report], "concise"), step)
