"""Histograms of weights, each under the density that its place calls for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from initadvisor.report import svg
from initadvisor.report.details import BINS, WeightDensity, WeightHistogram
from initadvisor.report.escape import MAX_NAME, visible
from initadvisor.report.html.marks import Mark, Marks
from initadvisor.report.model import Report

OPEN = 12
"""Histograms that are seen at once; the others unfold."""

MAX_PLOTS = 96
POINTS = 41
REACH = 3.5
"""Standard deviations of a normal density that are drawn."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One histogram."""

    name: str
    plot: Markup
    caption: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """Those that are seen at once (with findings first), the others, and how many weights have no histogram."""

    first: list[Weight]
    rest: list[Weight]
    left_out: int


def weights_of(report: Report, marks: Marks, share: int = 1) -> Weights:
    """Nothing where the report has no details."""
    if report.details is None:
        return Weights([], [], 0)
    limit = max(4, MAX_PLOTS // share)
    ordered = sorted(report.details.histograms, key=lambda one: not marks.at(one.layer))[:limit]
    made = [_weight(one, marks) for one in ordered]
    return Weights(made[:OPEN], made[OPEN:], report.details.weights - len(made))


def _weight(found: WeightHistogram, marks: Marks) -> Weight:
    step = (found.high - found.low) / BINS
    edges = [found.low + step * i for i in range(BINS)] + [found.high]
    wanted = found.recommended
    curves = [(wanted.method, curve(wanted))] if wanted is not None and wanted.std > 0 else []
    plot = svg.histogram(
        edges, found.counts, title=f"Weights of {found.parameter}", curves=curves, keys=False, width=320, height=170
    )
    return Weight(visible(found.parameter, MAX_NAME), Markup(plot), _caption(found), marks.at(found.layer))


def _caption(found: WeightHistogram) -> str:
    told = [f"std {svg.short(found.std)}"]
    wanted = found.recommended
    if wanted is not None:
        told.append(f"{wanted.method} would be {svg.short(wanted.std)}")
    if found.not_finite:
        told.append(f"{found.not_finite} of {found.sampled} sampled are not finite")
    if found.outside:
        told.append(f"{found.outside} of {found.sampled} lie further out")
    return "; ".join(told)


def curve(density: WeightDensity) -> list[tuple[float, float]]:
    """Points of the density; of a constant, none."""
    mean, std, bound = density.mean, density.std, density.bound
    if density.family == "constant" or not std > 0:
        return []
    if density.family == "uniform":
        half = bound if bound is not None else std * math.sqrt(3)
        height = 1 / (2 * half)
        return [(mean - half, 0.0), (mean - half, height), (mean + half, height), (mean + half, 0.0)]
    if density.family == "truncated_normal" and bound is not None:
        sigma = density.sigma or std
        mass = math.erf(bound / sigma / math.sqrt(2))
        xs = [bound * (2 * i / (POINTS - 1) - 1) for i in range(POINTS)]
        inside = [(mean + x, math.exp(-0.5 * (x / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi) * mass)) for x in xs]
        return [(mean - bound, 0.0), *inside, (mean + bound, 0.0)]
    xs = [REACH * (2 * i / (POINTS - 1) - 1) for i in range(POINTS)]
    return [(mean + x * std, math.exp(-0.5 * x * x) / (std * math.sqrt(2 * math.pi))) for x in xs]
