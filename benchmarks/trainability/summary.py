"""The result of the benchmark as one JSON: scores on both parts, by family and by rule, and the cases gone wrong."""

from __future__ import annotations

import datetime
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from initadvisor.analysis.risk import Scale

from .cases import CAUSES
from .scores import TOGETHER, Judged, by_rule, grouped, risk, scored
from .verdicts import LOOKS

ALL = (*LOOKS, *TOGETHER)

REDRAWN = ("check and signal", "probe with optimizer")
"""The looks whose findings are asked whether they offer an initializer for what is no fault of the weights."""


def summary(
    judged: Sequence[Judged], scales: Mapping[str, Scale], cases: int, cpu: Mapping[str, float]
) -> dict[str, Any]:
    """Everything that the README cites. cases: how many there are in all, trained or not."""
    result: dict[str, Any] = {
        "cases": cases,
        "trained and judged": len(judged),
        "cpu seconds of training": round(sum(cpu.values())),
        "outcomes": Counter(j.case_outcome for j in judged),
        "outcomes by cause": {c: Counter(j.case_outcome for j in judged if j.case.planted == c) for c in CAUSES},
        "train at all rates and seeds": sum(j.always for j in judged),
    }
    for part in ("test", "calibration"):
        result[part] = _part([j for j in judged if j.case.part == part], scales)
    result["machine"] = {"processor": platform.machine(), "cores": "2, shared", "gpu": "none"}
    result["versions"] = {name: version(name) for name in ("torch", "numpy", "scikit-learn")}
    result["python"] = platform.python_version()
    result["date"] = datetime.date.today().isoformat()
    return result


def _part(own: Sequence[Judged], scales: Mapping[str, Scale]) -> dict[str, Any]:
    # A start does not show the rate: cases whose only fault it is are judged with their optimizer alone.
    start = [j for j in own if j.case.planted != "learning_rate"]
    part: dict[str, Any] = {
        "cases": len(own),
        "outcomes of the first seed": Counter(j.outcome for j in own),
        "looks": {look: scored(own if look == "probe with optimizer" else start, look, scales) for look in ALL},
    }
    part["families"] = {
        family: {look: scored(some, look, scales) for look in (*LOOKS[1:4], *TOGETHER)}
        for family, some in grouped(start, lambda j: j.case.family).items()
    }
    part["rules"] = {look: by_rule(start, [look]) for look in ("check and signal", "probe")}
    part["errors on cases that train everywhere"] = {
        look: [f"{j.case.key}: {' '.join(j.found(look))}" for j in own if j.always and j.found(look)] for look in ALL
    }
    part["not of the weights"] = {
        cause: _named([j for j in own if j.case.planted == cause and j.fails])
        for cause in ("learning_rate", "data_scale", "head")
    }
    part["confusions"] = {look: _confusions(start, look, scales) for look in ("check and signal", "probe", *TOGETHER)}
    return part


def _named(own: Sequence[Judged]) -> dict[str, Any]:
    """Of failing cases with another cause than their weights: what is found, and whether new weights are offered."""
    # A piece of information about a weight is no answer to what is wrong, which findings from warnings on are.
    told = {j.case.key: {tuple(f) for look in REDRAWN for f in j.said["findings"][look] if f[2]} for j in own}
    offered = {
        key: sorted({f"{rule} {fix}" for rule, level, fix in found if level != "info"}) for key, found in told.items()
    }
    aside = {
        key: sorted({f"{rule} {fix}" for rule, level, fix in found if level == "info"}) for key, found in told.items()
    }
    return {
        "failing": len(own),
        "new weights offered": {key: rules for key, rules in offered.items() if rules},
        "named beside it at info level": {key: rules for key, rules in aside.items() if rules},
        "found": {
            j.case.key: sorted({f"{r} {s}" for r, s, _ in j.said["findings"]["probe with optimizer"]}) for j in own
        },
    }


def _confusions(own: Sequence[Judged], look: str, scales: Mapping[str, Scale]) -> dict[str, list[str]]:
    return {
        "error, and trains": [_line(j, look, scales) for j in own if j.found(look) and j.trains],
        "no error, and fails": [_line(j, look, scales) for j in own if not j.found(look) and j.fails],
    }


def _line(j: Judged, look: str, scales: Mapping[str, Scale]) -> str:
    c = j.case
    made = f"{c.data} {c.depth}x{c.width} {c.activation} {c.norm} {c.recipe}, {c.fault}, {c.scale}, {c.tail}"
    return f"{c.key} ({made}): {j.outcome}, risk {risk(j, look, scales):.2f} {' '.join(j.found(look))}".strip()


def store(file: Path, result: Mapping[str, Any]) -> None:
    """Write a result, keys in their order."""
    file.write_text(json.dumps(result, indent=1) + "\n")
