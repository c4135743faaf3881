"""A series of values, and its way over a plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from initadvisor.report.svg.decimate import Point
from initadvisor.report.svg.numbers import is_drawn, short
from initadvisor.report.svg.scale import Scale


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its label, its values, where they lie (0, 1, 2 ... if None), and a name for each, shown on hover.

    None, NaN and infinity leave a gap, and so does what is not positive on a logarithmic axis; the gap is marked.
    """

    label: str
    y: Sequence[float | None]
    x: Sequence[float] | None = None
    names: Sequence[str] = ()

    def places(self) -> Sequence[float]:
        """Where the values lie on the horizontal axis."""
        return range(len(self.y)) if self.x is None else self.x


def runs(series: Series, x_scale: Scale, y_scale: Scale) -> Iterator[list[tuple[int, float, float]]]:
    """(index, x, y) in pixels of stretches without a gap."""
    run: list[tuple[int, float, float]] = []
    for index, (x, y) in enumerate(zip(series.places(), series.y, strict=True)):
        if y is not None and is_drawn(y, y_scale.log) and is_drawn(x, x_scale.log):
            run.append((index, x_scale.at(x), y_scale.at(y)))
        elif run:
            yield run
            run = []
    if run:
        yield run


def path_through(points: Sequence[Point]) -> str:
    """The path from the first point to the last; a single one is a dot."""
    start, *rest = points
    if not rest:
        return f"M{start[0]:.1f} {start[1]:.1f}h0.1"
    return f"M{start[0]:.1f} {start[1]:.1f}L" + " ".join(f"{x:.1f} {y:.1f}" for x, y in rest)


def told(series: Sequence[Series]) -> str:
    """The ends and the range of each series in words."""
    parts = []
    for one in series:
        known = [y for y in one.y if y is not None and is_drawn(y, False)]
        if known:
            ends = f"{short(known[0])} to {short(known[-1])}, between {short(min(known))} and {short(max(known))}"
            parts.append(f"{one.label}: {len(one.y)} values, {ends}")
        else:
            parts.append(f"{one.label}: no finite values")
    return ". ".join(parts)
