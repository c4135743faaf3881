"""What the verdicts are worth, against the measured outcome."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from initadvisor.analysis.risk import Scale
from initadvisor.rules import RuleSet

from .cases import Case
from .labels import best, constant, goal, label, majority, worst
from .training import Curve
from .verdicts import SEED


@dataclass(frozen=True)
class Judged:
    """A case with its measured outcome and what was said of it."""

    case: Case
    curves: Sequence[Curve]
    said: Mapping[str, Any]

    def labels(self, seed: int) -> list[str]:
        """The label of one seed at each rate."""
        wanted, floor = goal(self.case.data), constant(self.case.data)
        return [label(c.final, wanted, floor) for c in self.curves if c.seed == seed]

    @property
    def outcome(self) -> str:
        """The label at the best rate of the seed that the verdicts are about."""
        return best(self.labels(SEED))

    @property
    def seeds(self) -> list[int]:
        """The seeds that were trained."""
        return sorted({c.seed for c in self.curves})

    @property
    def case_outcome(self) -> str:
        """The label at the best rate of the middle one of the seeds."""
        return majority([best(self.labels(seed)) for seed in self.seeds])

    @property
    def always(self) -> bool:
        """Whether every seed trains at every rate."""
        return worst(x for seed in self.seeds for x in self.labels(seed)) == "trainable"

    @property
    def fails(self) -> bool:
        """Whether it is untrainable at every rate; a slow one neither fails nor trains."""
        return self.outcome == "untrainable"

    @property
    def trains(self) -> bool:
        """Whether it is trainable at some rate."""
        return self.outcome == "trainable"

    def facts(self, look: str = "probe") -> dict[str, Any]:
        """Facts of the model: what is known without running, and what that look saw."""
        return {**self.said["static"], **(self.said.get(look) or {})}

    def found(self, look: str, severity: str = "error") -> list[str]:
        """Rules with findings of a severity."""
        looks = TOGETHER.get(look, (look,))
        return sorted({rule for one in looks for rule, level, _ in self.said["findings"][one] if level == severity})


TOGETHER = {"check and probe": ("check and signal", "probe with look-ahead")}
"""What a gate sees that runs both: a finding of either."""

LOOK_SCALES = {"check and signal": "signal", "probe": "probe", "probe with look-ahead": "lookahead",
               "probe with optimizer": "probe", "check and probe": "lookahead"}  # fmt: skip


def risk(judged: Judged, look: str, scales: Mapping[str, Scale]) -> float:
    """The risk that the look gives; 0.5 where it gives none, and for a check of the weights alone."""
    scale = LOOK_SCALES.get(look)
    if scale is None:
        return 0.5
    facts = judged.facts("probe with optimizer" if look == "probe with optimizer" else "probe")
    facts = {name: value for name, value in facts.items() if not isinstance(value, str)}
    facts["model.signal.risk"] = scales["signal"].risk(facts)
    found = scales[scale].risk(facts)
    if found is None and scale == "lookahead":
        found = scales["probe"].risk(facts)
    return 0.5 if found is None else found


RISK_RULES = {"IA513": ("check and signal",), "IA638": ("probe", "probe with look-ahead", "probe with optimizer")}
"""Rules that judge nothing but the risk, and the looks that run them."""


def with_risk_rules(judged: Judged, scales: Mapping[str, Scale], rules: RuleSet) -> Judged:
    """The case with the findings of these rules as the scales and limits of today give them, from the stored facts.

    So a new fit needs no new verdicts: those rules see one number, which the stored facts determine.
    """
    layers = judged.said["static"].get("model.signal.layers", 0.0)
    findings = {look: [f for f in told if f[0] not in RISK_RULES] for look, told in judged.said["findings"].items()}
    for name, looks in RISK_RULES.items():
        active = rules.find(name).active
        for look in looks:
            quiet = {rule for rule, _, _ in findings[look]} & set(active.yields_to)
            if layers < active.p.get("min_layers", 0.0):
                continue
            if not quiet and risk(judged, look, scales) > active.p["risk"]:
                findings[look] = [*findings[look], [name, active.severity, ""]]
    return replace(judged, said={**judged.said, "findings": findings})


def verdict(judged: Judged, look: str, scales: Mapping[str, Scale]) -> float:
    """One number to rank by: the risk, lifted above all others by a finding at error level."""
    return risk(judged, look, scales) + bool(judged.found(look))


def auc(scores: Sequence[float] | np.ndarray, bad: Sequence[bool] | np.ndarray) -> float:
    """Chance that a bad one has the higher score, ties counted half; NaN without both kinds."""
    scores, bad = np.asarray(scores, np.float64), np.asarray(bad, bool)
    if bad.all() or not bad.any():
        return float("nan")
    difference = scores[bad][:, None] - scores[~bad][None, :]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def rates(fired: Sequence[bool], bad: Sequence[bool]) -> dict[str, float | int | None]:
    """Precision, recall and, always beside it, the false-positive rate."""
    pairs = Counter(zip(map(bool, fired), map(bool, bad), strict=True))
    hit, false, missed, quiet = (pairs[key] for key in ((True, True), (True, False), (False, True), (False, False)))
    return {
        "precision": _share(hit, hit + false),
        "recall": _share(hit, hit + missed),
        "false-positive rate": _share(false, false + quiet),
        "fired": hit + false,
        "bad": hit + missed,
        "good": false + quiet,
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def scored(own: Sequence[Judged], look: str, scales: Mapping[str, Scale]) -> dict[str, Any]:
    """All figures of one look on these cases."""
    clear = [j for j in own if j.outcome != "slow"]
    slow = [j for j in own if j.outcome == "slow"]
    start = [j for j in clear if j.trains or j.case.planted == "initialization"]

    def area(
        some: Sequence[Judged], bad: Callable[[Judged], bool], value: Callable[..., float] = verdict
    ) -> float | None:
        return _rounded(auc([value(j, look, scales) for j in some], [bad(j) for j in some]))

    return {
        "cases": len(own),
        "AUC": area(clear, lambda j: j.fails),
        "AUC of the risk alone": area(clear, lambda j: j.fails, risk),
        "AUC, slow ones counted as failing": area(own, lambda j: not j.trains),
        "AUC, slow ones counted as training": area(own, lambda j: j.fails),
        "error level": _level(clear, look),
        "error level, faults of the initialization": _level(start, look),
        "slow": {"cases": len(slow), "errors": sum(bool(j.found(look)) for j in slow)},
    }


def _level(own: Sequence[Judged], look: str) -> dict[str, Any]:
    return rates([bool(j.found(look)) for j in own], [j.fails for j in own])


def _rounded(value: float) -> float | None:
    return None if value != value else round(value, 4)


def by_rule(own: Sequence[Judged], looks: Iterable[str]) -> dict[str, Any]:
    """For each rule: how often it fired, on how many that fail and that are slow, and the share of these together."""
    hits: defaultdict[str, list[str]] = defaultdict(list)
    for judged in own:
        said = {(rule, level) for look in looks for rule, level, _ in judged.said["findings"][look]}
        for rule, level in said:
            hits[f"{rule} {level}"].append(judged.outcome)
    return {
        name: {
            "fired": len(v),
            "fail": v.count("untrainable"),
            "slow": v.count("slow"),
            "not trainable": round(1 - v.count("trainable") / len(v), 3),
        }
        for name, v in sorted(hits.items())
    }


def grouped(own: Sequence[Judged], key: Callable[[Judged], str]) -> dict[str, list[Judged]]:
    """Cases by a key, in its order."""
    groups: defaultdict[str, list[Judged]] = defaultdict(list)
    for judged in own:
        groups[key(judged)].append(judged)
    return dict(sorted(groups.items()))
