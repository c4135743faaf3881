"""A curve the size of a word."""

from __future__ import annotations

from collections.abc import Sequence

from initadvisor.report.svg.decimate import decimate
from initadvisor.report.svg.frame import root, stroke
from initadvisor.report.svg.palette import marker
from initadvisor.report.svg.scale import scale_over
from initadvisor.report.svg.series import Series, path_through, runs, told


def sparkline(
    values: Sequence[float | None],
    *,
    title: str,
    description: str = "",
    log: bool = False,
    width: float = 120,
    height: float = 24,
    standalone: bool = False,
) -> str:
    """An `<svg>` of one series without axes, its last value marked; gaps as in `line_plot`."""
    series = Series(title, values)
    x_scale = scale_over(series.places(), 3, width - 4)
    y_scale = scale_over(values, height - 4, 4, log=log)
    drawn = list(runs(series, x_scale, y_scale))
    paths = [path_through(decimate([(x, y) for _, x, y in run], max(4, int(2 * width)))) for run in drawn]
    body = [stroke(0, "".join(paths), 1.5)] if paths else []
    if drawn:
        _, x, y = drawn[-1][-1]
        body.append(marker(0, x, y, 2))
    return root(width, height, title, description or told([series]), body, standalone=standalone)
