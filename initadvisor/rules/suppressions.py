"""Findings that somebody has looked at and accepted: by layer and rule, with a reason, until a date if one is given."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from initadvisor.errors import UsageError
from initadvisor.rules.finding import Finding
from initadvisor.rules.rule import Rule
from initadvisor.rules.selection import answers
from initadvisor.rules.suggest import did_you_mean

SuppressionKind = Literal["configuration", "module", "model"]


@dataclass(frozen=True, slots=True)
class Suppression:
    """What is accepted.

    layers: globs over the names of layers and tensors, case-sensitive; "*" for all, the model itself included.
    rules: ids, prefixes, names or categories; empty for all. expires: the last day on which it holds.
    origin: where it was written, for the report. kind: who says so: the project's configuration, a marker on a module,
    or the model file itself.
    """

    layers: tuple[str, ...]
    reason: str
    rules: tuple[str, ...] = ()
    expires: datetime.date | None = None
    origin: str = "configuration"
    kind: SuppressionKind = "configuration"

    def covers(self, finding: Finding, rule: Rule | None) -> bool:
        """Whether a finding is one of those; `rule` is the one that fired, where it is known."""
        names = (finding.subject.name, finding.subject.tensor or "")
        if not any(fnmatchcase(name, glob) for name in names for glob in self.layers):
            return False
        if not self.rules:
            return True
        return any(answers(word, rule) if rule is not None else word == finding.rule for word in self.rules)

    def is_about(self, rules: Collection[Rule]) -> bool:
        """Whether one of these rules is among those that it names."""
        return not self.rules or any(answers(word, rule) for word in self.rules for rule in rules)

    def label(self) -> str:
        """How reports name it."""
        return f"{', '.join(self.rules) or 'every rule'} on {', '.join(self.layers)} ({self.origin})"


@dataclass(frozen=True, slots=True)
class Sorted:
    """Findings after suppression. `unused` covered nothing, `expired` would have covered something."""

    kept: list[Finding] = field(default_factory=list)
    suppressed: list[tuple[Finding, Suppression]] = field(default_factory=list)
    unused: list[Suppression] = field(default_factory=list)
    expired: list[Suppression] = field(default_factory=list)


def suppress(
    findings: Iterable[Finding],
    suppressions: Sequence[Suppression],
    rules: Iterable[Rule],
    today: datetime.date | None = None,
) -> Sorted:
    """Sort findings into those that stay and those that are accepted; the first suppression that covers one has it."""
    day = today or datetime.date.today()
    known = {rule.id: rule for rule in rules}
    result = Sorted()
    used: set[int] = set()
    late: set[int] = set()
    for finding in findings:
        covering = [s for s in suppressions if s.covers(finding, known.get(finding.rule))]
        valid = next((s for s in covering if s.expires is None or day <= s.expires), None)
        if valid is None:
            result.kept.append(finding)
            late |= {id(s) for s in covering}
        else:
            result.suppressed.append((finding, valid))
        used |= {id(s) for s in covering}
    result.unused.extend(s for s in suppressions if id(s) not in used)
    result.expired.extend(s for s in suppressions if id(s) in late)
    return result


def check_selectors(suppressions: Iterable[Suppression], rules: Collection[Rule]) -> None:
    """Raise UsageError for a rule that does not exist: a misspelt suppression would silently do nothing."""
    for suppression in suppressions:
        for word in suppression.rules:
            if not any(answers(word, rule) for rule in rules):
                known = [name for rule in rules for name in (rule.id, rule.name, rule.category)]
                where = f"{suppression.origin}: the suppression on {', '.join(suppression.layers)}"
                raise UsageError(f'{where} names "{word}", which no rule answers to', hint=did_you_mean(word, known))
