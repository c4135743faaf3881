"""Numbers as a person reads them on an axis."""

from __future__ import annotations

import math

PLAIN_FROM, PLAIN_TO = 1e-3, 1e5
"""Magnitudes that are written without an exponent."""


def short(value: float | None, digits: int = 3) -> str:
    """At most `digits` significant digits: "0.00123", "12.3", "1.2e-5"; "?" for None, "NaN", "inf"."""
    if value is None:
        return "?"
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    if PLAIN_FROM <= abs(rounded) < PLAIN_TO:
        places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
        text = f"{rounded:.{places}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"


def is_drawn(value: float | None, log: bool) -> bool:
    """Whether a value has a place on the axis."""
    return value is not None and math.isfinite(value) and (value > 0 or not log)


def place(value: float) -> str:
    """A coordinate: a tenth of a pixel is fine enough."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
