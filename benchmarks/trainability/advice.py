"""What findings advise, followed to the letter: each change is one factor of the case.

Only the words of the findings decide, by the table below; the cause that was planted is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .cases import Case, batch, build
from .data import loss

TARGET_UPDATE = 1e-3
"""Size of an update over that of the weight, which rates are scaled to where a finding asks for another rate."""

RATE = ("the rate", "its rate", "learning rate")
INPUT = ("scale the inputs", "standardise the inputs", "standardize the inputs", "scale of the data")
HEAD = (
    "raw logits",
    "log-softmax",
    "leave the softmax",
    "temperature",
    "take the softmax",
    "without the softmax",
    "take the factor out",
)
NORM = ("add norms", "norms or residuals", "normalization")
DRAW = ("draw ", "drawn ")


@dataclass(frozen=True)
class Change:
    """One factor of a case changed. said: the rule and its advice. draws: whether the weights are drawn anew, too."""

    said: str
    factors: tuple[tuple[str, Any], ...] = ()
    factor: float = 1.0
    draws: bool = False

    def case(self, case: Case) -> Case:
        """The case with the change made."""
        return replace(case, **dict(self.factors))

    def rates(self, rates: tuple[float, ...]) -> tuple[float, ...]:
        """The learning rates with the change made."""
        return tuple(rate * self.factor for rate in rates)


def follow(case: Case) -> list[Change]:
    """The changes that the findings of a check and a probe of the first seed's network ask for."""
    import torch

    import initadvisor

    module = build(case, 0)
    x, y = batch(case)
    rate = sorted(case.rates)[len(case.rates) // 2]
    report = initadvisor.probe(
        module, (x, y), loss, optimizer=lambda p: torch.optim.SGD(p, rate, momentum=0.9), select=["ALL"]
    )
    changes: list[Change] = []
    for finding in report.findings:
        if finding.severity == "info" or finding.fix is None:
            continue
        said = f"{finding.rule}: {finding.fix.hint or finding.fix.method}"
        changes += _changes(case, said, (report.probe or {}).get("model", {}))
    kinds: dict[Any, Change] = {}
    for change in changes:
        kinds.setdefault((change.factors, change.factor != 1.0, change.draws), change)
    return list(kinds.values())


def _changes(case: Case, said: str, measured: dict[str, Any]) -> list[Change]:
    text = said.lower()
    found = []
    if any(word in text for word in RATE):
        update = measured.get("first_update")
        found.append(Change(said, factor=TARGET_UPDATE / update if update else 0.1))
    if any(word in text for word in INPUT):
        found.append(Change(said, (("scale", "standard"),)))
    if any(word in text for word in HEAD):
        found.append(Change(said, (("tail", "none"),)))
    if any(word in text for word in NORM) and case.norm == "none" and case.family in ("mlp", "cnn", "autoencoder"):
        found.append(Change(said, (("norm", "layer"),)))
    if any(word in text for word in DRAW):
        found.append(Change(said, draws=True))
    return found
