"""What a probe measured, read out of the plain values that a report carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initadvisor.report.model import Report


def probed(report: Report) -> dict[str, Mapping[str, Any]]:
    """Measurements by "layer:NAME" and "tensor:NAME"; nothing where there was no probe."""
    record = report.probe or {}
    found: dict[str, Mapping[str, Any]] = {}
    for kind, key in (("layer", "layers"), ("tensor", "gradients")):
        rows = record.get(key)
        if isinstance(rows, Mapping):
            found |= {f"{kind}:{name}": row for name, row in rows.items() if isinstance(row, Mapping)}
    return found


def number(value: Any) -> float | None:
    """A measurement as a float: JSON has "nan" and "inf" as text."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    return float(value) if value in ("nan", "inf", "-inf") else None
