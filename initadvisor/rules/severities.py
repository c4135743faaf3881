"""Rules at another severity than their own: "IA103" -> "warning", or "off"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast

from initadvisor.errors import UsageError
from initadvisor.rules.discovery import RuleSet
from initadvisor.rules.rule import SEVERITIES, Rule, Severity
from initadvisor.rules.selection import check_selector, specificity
from initadvisor.rules.suggest import did_you_mean

OFF = "off"


def regrade(rules: Iterable[Rule], severity: Mapping[str, str], known: RuleSet) -> list[Rule]:
    """The rules at the severities given by selector; those that are "off" are left out.

    The most specific selector decides, as in `select`. Raises UsageError for a selector that no rule answers to, a
    severity that does not exist, and where no rule is left.
    """
    for selector, grade in severity.items():
        check_selector(selector, known)
        if grade not in (*SEVERITIES, OFF):
            words = (*SEVERITIES, OFF)
            hint = did_you_mean(grade, words) or f"it is one of {', '.join(words)}"
            raise UsageError(f'severity of "{selector}": there is no severity "{grade}"', hint=hint)
    graded = [(rule, _grade(rule, severity)) for rule in rules]
    kept = [_at(rule, grade) for rule, grade in graded if grade != OFF]
    if not kept:
        raise UsageError('no rule is left to run: those that are selected have the severity "off"')
    return kept


def _grade(rule: Rule, severity: Mapping[str, str]) -> str:
    nearest = max(severity, key=lambda selector: specificity(selector, rule), default=None)
    if nearest is None or specificity(nearest, rule) < 0:
        return rule.active.severity
    return severity[nearest]


def _at(rule: Rule, grade: str) -> Rule:
    if grade == rule.active.severity:
        return rule
    return replace(rule, settings=rule.active.model_copy(update={"severity": cast(Severity, grade)}))
