"""A rule made ready to judge: its names and types checked, its expressions compiled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from initadvisor.errors import RuleError
from initadvisor.rules.expressions import (
    MAX_CHARACTERS,
    Expression,
    ExpressionError,
    Failed,
    compile_expression,
    inline,
    references_of,
)
from initadvisor.rules.finding import EvidenceValue, Finding, Fix, NotEvaluated, SubjectKind, SubjectName, fingerprint
from initadvisor.rules.messages import Message, MessageError, parse_message
from initadvisor.rules.rule import FixSettings, Rule
from initadvisor.rules.suggest import did_you_mean
from initadvisor.rules.vocabulary import FactName, FactType, FactValue, Vocabulary


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that rules of its scope judge: a layer, a tensor, the model ... with its facts by dotted name."""

    kind: SubjectKind
    name: str
    facts: Mapping[str, FactValue]
    tensor: str | None = None

    @property
    def label(self) -> SubjectName:
        """How reports name it."""
        return SubjectName(kind=self.kind, name=self.name, tensor=self.tensor)


class CompiledRule:
    """A rule with its expressions checked against the known facts; compile once, judge many subjects."""

    __slots__ = ("_constants", "_fix", "_hint", "_let", "_message", "_shown", "_when", "rule", "settings")

    def __init__(self, rule: Rule, vocabulary: Vocabulary) -> None:
        """Raises RuleError, with file and line, for an unknown name, a type that does not fit, or broken syntax."""
        self.rule = rule
        self.settings = settings = rule.active
        self._constants: dict[str, FactValue] = {f"p.{name}": value for name, value in settings.p.items()}
        names = dict(vocabulary.of(settings.scope))
        names.update({name: FactName(name, _type_of(value)) for name, value in self._constants.items()})
        self._let: dict[str, Expression] = {}
        for name, source in settings.let.items():
            self._let[name] = _compile(rule, "let", source, names).bind(self._constants)
            names[name] = FactName(name, self._let[name].type)
        shown = dict.fromkeys(references_of(settings.when, names))
        when = (
            _inlined(rule, names)
            if any(name in self._let for name in shown)
            else _compile(rule, "when", settings.when, names)
        )
        if when.type != "flag":
            raise RuleError(f"{rule.where('when')}: when: the expression gives a {when.type}, not true or false")
        self._when = when.bind(self._constants)
        self._message = _parse(rule, "message", settings.message, names)
        self._fix = settings.fix
        self._hint = _parse(rule, "fix", settings.fix.hint, names) if settings.fix and settings.fix.hint else None
        if settings.fix:
            _check_fix(rule, settings.fix, names)
        for expression in self._let.values():
            shown |= dict.fromkeys(expression.references)
        told = (*self._message.references, *(self._hint.references if self._hint else ()))
        self._shown = tuple(shown | dict.fromkeys((*self._let, *told)))

    def judge(self, subject: Subject) -> Finding | NotEvaluated | None:
        """A finding, a reason why there is no answer, or None for ok."""
        answer = self._when.evaluate(subject.facts)
        if answer is False:
            return None
        if isinstance(answer, Failed):
            return NotEvaluated(rule=self.rule.id, subject=subject.label, reason=answer.why)
        values = {**subject.facts, **self._constants}
        for name, expression in self._let.items():
            value = expression.evaluate(values)
            if not isinstance(value, Failed):
                values[name] = value
        return self._finding(subject, values)

    def _finding(self, subject: Subject, values: Mapping[str, FactValue]) -> Finding:
        label = subject.label
        return Finding(
            rule=self.rule.id,
            name=self.rule.name,
            severity=self.settings.severity,
            subject=label,
            message=self._message.format(values),
            evidence={name: storable(values[name]) for name in self._shown if name in values},
            fix=self._fix_of(values),
            fingerprint=fingerprint(self.rule.id, label),
        )

    def _fix_of(self, values: Mapping[str, FactValue]) -> Fix | None:
        if self._fix is None:
            return None
        params: dict[str, EvidenceValue] = {}
        for name, value in self._fix.params.items():
            reference = _reference(value)
            if reference is None:
                params[name] = value
            elif reference in values:
                params[name] = storable(values[reference])
        return Fix(
            method=self._fix.initializer,
            params=params,
            safety=self._fix.safety,
            hint=self._hint.format(values) if self._hint else None,
        )


def storable(value: FactValue) -> EvidenceValue:
    """A value that JSON can hold: infinities and NaN become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list) and any(isinstance(item, float) and not math.isfinite(item) for item in value):
        return [str(item) for item in value]
    return value


def _type_of(value: FactValue) -> FactType:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "texts" if value and isinstance(value[0], str) else "numbers"
    return "number"


def _compile(rule: Rule, key: str, source: str, names: Mapping[str, FactName]) -> Expression:
    try:
        return compile_expression(source, names)
    except ExpressionError as error:
        raise RuleError(f"{rule.where(key)}: {key}: {error}", hint=error.hint) from error


def _inlined(rule: Rule, names: Mapping[str, FactName]) -> Expression:
    settings = rule.active
    try:
        source = inline(settings.when, settings.let)
        return compile_expression(source, names, limit=16 * MAX_CHARACTERS)
    except ExpressionError as error:
        _compile(rule, "when", settings.when, names)  # most faults are there as written, and are said better of it
        raise RuleError(f"{rule.where('when')}: when: {error}", hint=error.hint) from error


def _parse(rule: Rule, key: str, source: str, names: Mapping[str, FactName]) -> Message:
    try:
        return parse_message(source, names)
    except MessageError as error:
        raise RuleError(f"{rule.where(key)}: {key}: {error}", hint=error.hint) from error


def _reference(value: object) -> str | None:
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return value[1:-1]
    return None


def _check_fix(rule: Rule, fix: FixSettings, names: Mapping[str, FactName]) -> None:
    for value in fix.params.values():
        reference = _reference(value)
        if reference is not None and reference not in names:
            problem = f'{rule.where("fix")}: fix: there is no fact, parameter or let value "{reference}" here'
            raise RuleError(problem, hint=did_you_mean(reference, names))
