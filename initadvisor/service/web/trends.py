"""How a model changed over its commits, as curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from initadvisor.report.svg import Series, line_plot
from initadvisor.service.schemas import CheckView


@dataclass(frozen=True, slots=True)
class Trend:
    """A plot, its title, and what to see in it."""

    title: str
    caption: str
    plot: Markup


def trends(checks: Sequence[CheckView]) -> list[Trend]:
    """The plots over checks, oldest first; none of a single one, which is no history."""
    done = [check for check in checks if check.summary is not None]
    if len(done) < 2:
        return []
    names = [check.commit or f"{check.created:%Y-%m-%d %H:%M}" for check in done]

    def curve(label: str, values: list[float | None]) -> Series:
        return Series(label, values, x=range(1, len(values) + 1), names=names)

    counts = [
        curve(label, [float(getattr(check.summary, key)) for check in done])
        for label, key in (("errors", "error"), ("warnings", "warning"), ("notes", "info"))
    ]
    spans = [
        curve(label, [check.figures.get(key) for check in done])
        for label, key in (("signal forward", "signal_decades"), ("gradient back", "gradient_decades"))
    ]
    made = [
        _trend("Findings", "By severity, one point a check.", counts, "findings"),
        _trend("Signal", "Decades that signal and gradient span over the layers: 0 is level.", spans, "decades"),
    ]
    if any(check.coverage != 1.0 for check in done):
        covered = [curve("parameters understood", [check.coverage for check in done])]
        made.append(_trend("Coverage", "Share of the parameters that the check understood.", covered, "share"))
    return made


def _trend(title: str, caption: str, series: list[Series], unit: str) -> Trend:
    plot = line_plot(series, title=title, x_label="checks, oldest first", y_label=unit, width=460, height=230)
    return Trend(title, caption, Markup(plot))
