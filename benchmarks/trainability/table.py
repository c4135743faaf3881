"""The table of all cases: factors, outcomes, what was measured at the start, what was said. One CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from initadvisor.analysis.risk import Scale

from .labels import best
from .scores import Judged, risk
from .verdicts import LOOKS

MEASURED = (
    "model.parameters", "model.depth", "model.signal.forward_ratio", "model.signal.backward_ratio",
    "model.signal.cosine", "model.signal.end_rms", "model.probe.loss", "model.probe.gradient_norm",
    "model.probe.gradient_ratio",
    "model.probe.smallest_gradient", "model.probe.effective_rank", "model.probe.logit_std", "model.probe.logit_spread",
    "model.probe.cosine", "model.probe.largest_rms", "model.probe.median_update", "model.probe.asleep_share",
    "model.probe.nonfinite", "model.probe.lookahead_ratio",
)  # fmt: skip


def write(file: Path, judged: Sequence[Judged], scales: Mapping[str, Scale], cpu: Mapping[str, float]) -> None:
    """One line a case. cpu: seconds that its training took."""
    rows = [_row(one, scales, cpu) for one in judged]
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _row(judged: Judged, scales: Mapping[str, Scale], cpu: Mapping[str, float]) -> dict[str, Any]:
    case = judged.case
    row: dict[str, Any] = case.row()
    row |= {
        "outcome": judged.case_outcome,
        "trains at all": judged.always,
        "cause": case.planted if judged.case_outcome != "trainable" else "",
        "cpu": cpu[case.key],
    }
    for seed in judged.seeds:
        row[f"outcome seed {seed}"] = best(judged.labels(seed))
    for index, curve in enumerate(judged.curves):
        number = index % len(case.rates)
        row[f"score seed {curve.seed} rate {number}"] = curve.final
        row[f"test seed {curve.seed} rate {number}"] = curve.test_score
        row[f"steps seed {curve.seed} rate {number}"] = curve.steps
    facts = judged.facts()
    row |= {name: facts.get(name, "") for name in MEASURED}
    for look in LOOKS:
        row[f"errors of {look}"] = " ".join(judged.found(look))
        row[f"warnings of {look}"] = " ".join(judged.found(look, "warning"))
        if look != "check":
            row[f"risk of {look}"] = round(risk(judged, look, scales), 4)
    return row
