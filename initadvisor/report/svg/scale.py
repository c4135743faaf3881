"""From values to pixels, linear or logarithmic, with the marks of the axis."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from initadvisor.report.svg.numbers import is_drawn

DECADES = 2.0
"""The least range of a logarithmic axis: a flat signal is to look flat."""


LARGEST = sys.float_info.max
SMALLEST = 1e-290
"""A linear axis over less would leave no room for its steps within what a float holds."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps [low, high] to [start, stop] pixels."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; one outside the range lies at its edge."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            share = (math.log10(inside) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        else:
            # Halves: the range of two far ends may be more than a float holds.
            share = (inside / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return self.start + share * (self.stop - self.start)

    def ticks(self, wanted: int, *, whole: bool = False) -> list[float]:
        """About `wanted` round values within the range; only whole numbers where `whole`."""
        found = _log_ticks(self.low, self.high, wanted) if self.log else _linear_ticks(self.low, self.high, wanted)
        return [value for value in found if value.is_integer()] if whole else found


def scale_over(
    values: Iterable[float | None], start: float, stop: float, *, log: bool = False, zero: bool = False
) -> Scale:
    """The scale that holds all values that can be drawn, with a little room; `zero` makes 0 one of them."""
    known = [float(value) for value in values if value is not None and is_drawn(value, log)]
    if log:
        return _log_scale(known, start, stop)
    if zero:
        known.append(0.0)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if not high - low > SMALLEST:
        room = max(abs(low) * 0.5, 1.0 if abs(low) < SMALLEST else 0.0)
        low, high = max(low - room, -LARGEST), min(high + room, LARGEST)
    return Scale(low, high, start, stop)


def _log_scale(known: list[float], start: float, stop: float) -> Scale:
    low, high = (math.log10(min(known)), math.log10(max(known))) if known else (-1.0, 1.0)
    room = max(0.04 * (high - low), 0.5 * (DECADES - (high - low)))
    # The ends of what a float holds.
    return Scale(10 ** max(low - room, -307.0), 10 ** min(high + room, 308.0), start, stop, log=True)


def _linear_ticks(low: float, high: float, wanted: int) -> list[float]:
    raw = (high / 2 - low / 2) * 2 / max(wanted, 1)
    if not math.isfinite(raw):
        return [low, 0.0, high]
    unit = 10.0 ** math.floor(math.log10(raw)) if raw > 1e-300 else raw
    step = next((m * unit for m in (1, 2, 5, 10) if m * unit >= raw * 0.999), 10 * unit)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    found = [index * step for index in range(first, min(last, first + 4 * wanted) + 1)]
    return found if len(found) > 1 else [low, high]


def _log_ticks(low: float, high: float, wanted: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last > first:
        every = max(1, math.ceil((last - first + 1) / max(wanted, 2)))
        found = [10.0**power for power in range(first, last + 1) if power % every == 0]
        return found if len(found) > 1 else [10.0**first, 10.0**last]
    found = [m * 10.0**power for power in range(first - 1, last + 1) for m in (1, 2, 5)]
    return [value for value in found if low <= value <= high] or [low, high]
