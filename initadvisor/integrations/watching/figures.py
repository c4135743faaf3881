"""The numbers of a window that are worth a curve over the training."""

from __future__ import annotations

import math

from initadvisor.integrations.writers.protocol import tag
from initadvisor.probe.facts import ProbeFacts
from initadvisor.report import Report

_MODEL = ("gradient_norm", "gradient_ratio", "median_update", "largest_rms", "effective_rank", "asleep_share")
_LAYER = {
    "rms": "activation_rms",
    "dead_units": "dead_units",
    "saturated_share": "saturated",
    "gradient_rms": "backward",
}
_PARAMETER = {"gradient_rms": "gradient_rms", "update_to_weight": "update_to_weight"}


def figures(report: Report, facts: ProbeFacts) -> dict[str, float]:
    """Name -> number; what is unknown or not finite is left out."""
    found: dict[str, float | None] = {tag("findings", s): getattr(report.summary, s) for s in ("error", "warning")}
    found |= {tag(name): getattr(facts.model, name) for name in _MODEL}
    for layer, seen in facts.layers.items():
        found |= {tag(name, layer): getattr(seen, fact) for fact, name in _LAYER.items()}
    for parameter, moved in facts.parameters.items():
        found |= {tag(name, parameter): getattr(moved, fact) for fact, name in _PARAMETER.items()}
    return {name: float(v) for name, v in found.items() if v is not None and math.isfinite(v)}
