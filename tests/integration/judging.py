"""Checks with one compiled rule set, and findings as short tuples."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from initadvisor.engine import Checker, CheckSettings
from initadvisor.frontends.options import LoadOptions
from initadvisor.report import Report


@lru_cache(maxsize=8)
def checker(input_shape: tuple[int, ...] | None = None) -> Checker:
    """All stable rules, compiled once for each input shape."""
    shapes = None if input_shape is None else (input_shape,)
    return Checker(CheckSettings(load=LoadOptions(input_shapes=shapes)))


def check(target: Any, input_shape: tuple[int, ...] | None = None) -> Report:
    """The report of a target by the stable rules."""
    return checker(input_shape).check(target)


def named(report: Report, *severities: str) -> set[tuple[str, str]]:
    """(rule, subject) of the findings, of the given severities or of all."""
    return {(f.rule, f.subject.name) for f in report.findings if not severities or f.severity in severities}
