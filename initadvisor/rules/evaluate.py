"""Judge many subjects with many rules: findings, the count of ok, and what was not evaluated with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from initadvisor.rules.compiled import CompiledRule, Subject
from initadvisor.rules.finding import Finding, NotEvaluated, SubjectName
from initadvisor.rules.rule import Need

NEED_REASONS: Mapping[Need, str] = {
    "graph": "the target holds tensors only, no graph",
    "weights": "the target holds no weight values",
    "signal": "no signal prediction was made",
    "probe": "no probe was run",
    "batch": "no batch was given",
    "clients": "no clients were given",
    "checkpoint": "no checkpoint to compare with was given",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answers of a run. `ok` counts the (rule, subject) pairs that were judged and gave no finding."""

    findings: list[Finding] = field(default_factory=list)
    not_evaluated: list[NotEvaluated] = field(default_factory=list)
    ok: int = 0


def evaluate(
    rules: Sequence[CompiledRule],
    subjects: Mapping[str, Iterable[Subject]],
    available: Collection[Need],
    reasons: Mapping[Need, str] = NEED_REASONS,
) -> Judgement:
    """Judge every subject with every rule of its scope.

    subjects: by scope. available: what the target and the run offer; a rule that needs more is not evaluated, once.
    A finding of a rule that yields to others is left out where one of them found something in the same target.
    reasons: why something is not available, where the caller knows better than the default text.
    """
    judgement = Judgement()
    findings, not_evaluated, ok = judgement.findings, judgement.not_evaluated, 0
    lists = {scope: list(members) for scope, members in subjects.items()}
    for rule in rules:
        lacking = [need for need in rule.settings.needs if need not in available]
        if lacking:
            reason = reasons.get(lacking[0], NEED_REASONS[lacking[0]])
            not_evaluated.append(NotEvaluated(rule=rule.rule.id, subject=SubjectName(kind="model"), reason=reason))
            continue
        for subject in lists.get(rule.settings.scope, ()):
            answer = rule.judge(subject)
            if answer is None:
                ok += 1
            elif isinstance(answer, Finding):
                findings.append(answer)
            else:
                not_evaluated.append(answer)
    return Judgement(_first_causes(rules, findings), not_evaluated, ok)


def _first_causes(rules: Sequence[CompiledRule], findings: Sequence[Finding]) -> list[Finding]:
    """The findings without those of rules that yield to another one that found something: one fault, one message."""
    found = {finding.rule for finding in findings}
    silent = {rule.rule.id for rule in rules if found.intersection(rule.settings.yields_to)}
    return [finding for finding in findings if finding.rule not in silent]
