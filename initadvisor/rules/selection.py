"""Which rules run: selectors by id, id prefix, name or category, and parameter overrides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from initadvisor.errors import UsageError
from initadvisor.rules.discovery import RuleSet
from initadvisor.rules.rule import Rule, Status
from initadvisor.rules.suggest import did_you_mean

ALL = "ALL"
_EXACT = 1_000


def select(
    rules: RuleSet,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    extend_select: Iterable[str] = (),
    preview: bool = False,
) -> list[Rule]:
    """The rules that run, in order of id.

    The most specific selector decides for a rule (an id over a prefix over a category over ALL), and `ignore` wins a
    tie. Preview rules run with `preview` or when named exactly, deprecated ones only when named exactly, removed ones
    never. Raises UsageError for a selector that no rule answers to, and where nothing is left.
    """
    chosen, dropped = [*(tuple(select) or (ALL,)), *extend_select], list(ignore)
    for selector in (*chosen, *dropped):
        check_selector(selector, rules)
    kept = [rule for rule in rules if _runs(rule, chosen, dropped, preview)]
    if not kept:
        raise UsageError(
            f"no rule is left to run: selected {', '.join(chosen)}, ignored {', '.join(dropped) or 'none'}"
        )
    return kept


def is_named(rule: Rule, selectors: Iterable[str]) -> bool:
    """Whether a selector other than ALL asks for this rule."""
    return any(specificity(selector, rule) > 0 for selector in selectors)


def _runs(rule: Rule, chosen: list[str], dropped: list[str], preview: bool) -> bool:
    wanted = max(specificity(selector, rule) for selector in chosen)
    unwanted = max((specificity(selector, rule) for selector in dropped), default=-1)
    by_default: tuple[Status, ...] = ("stable", "preview") if preview else ("stable",)
    allowed = rule.status in by_default or (rule.status != "removed" and wanted == _EXACT)
    return allowed and wanted >= 0 and wanted > unwanted


def answers(selector: str, rule: Rule) -> bool:
    """Whether a selector (id, prefix, name, category or ALL) names a rule."""
    return specificity(selector, rule) >= 0


def specificity(selector: str, rule: Rule) -> int:
    """How closely a selector names a rule: -1 not at all, 0 ALL, 1 category, then the length of the prefix."""
    word = selector.casefold()
    if word in (rule.id.casefold(), rule.name):
        return _EXACT
    if word == ALL.casefold():
        return 0
    if word == rule.category.casefold():
        return 1
    return len(word) + 1 if word and rule.id.casefold().startswith(word) else -1


def check_selector(selector: str, rules: RuleSet) -> None:
    """Raise UsageError where no rule answers to a selector, or only one that was removed."""
    matches = [rule for rule in rules if specificity(selector, rule) >= 0]
    if not matches:
        known = [word for rule in rules for word in (rule.id, rule.name, rule.category)]
        raise UsageError(f'no rule answers to "{selector}"', hint=did_you_mean(selector, known))
    removed = matches[0]
    if removed.status == "removed" and specificity(selector, removed) == _EXACT:
        successors = getattr(removed.settings, "replaced_by", ())
        hint = f"use {', '.join(successors)}" if successors else None
        raise UsageError(f"rule {removed.id} was removed in {getattr(removed.settings, 'removed', '')}", hint=hint)


def override(rules: Iterable[Rule], params: Mapping[str, object], known: RuleSet) -> list[Rule]:
    """The rules with parameters replaced, given as "IA101.low" -> value.

    Raises UsageError for a rule or parameter that does not exist, or a value of another type than the default's.
    """
    changes: dict[str, dict[str, object]] = {}
    for key, value in params.items():
        rule_id, _, name = key.partition(".")
        rule = known.rules.get(rule_id.upper())
        if rule is None or rule.status == "removed":
            raise UsageError(
                f'parameter "{key}": there is no rule "{rule_id}"', hint=did_you_mean(rule_id, known.rules)
            )
        if name not in rule.active.p:
            offered = did_you_mean(name, rule.active.p) or f"it has {', '.join(rule.active.p) or 'none'}"
            raise UsageError(f'parameter "{key}": rule {rule.id} has no parameter "{name}"', hint=offered)
        changes.setdefault(rule.id, {})[name] = _same_type(key, value, rule.active.p[name])
    return [_with_params(rule, changes[rule.id]) if rule.id in changes else rule for rule in rules]


def _with_params(rule: Rule, params: Mapping[str, object]) -> Rule:
    return replace(rule, settings=rule.active.model_copy(update={"p": {**rule.active.p, **params}}))


def _same_type(key: str, value: object, default: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, list):
        value = [float(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value]
    kinds = {bool: "true or false", float: "a number", str: "text", list: "a list"}
    if type(value) is not type(default):
        raise UsageError(f'parameter "{key}" is {kinds.get(type(default), "a value")}, not {value!r}')
    if isinstance(value, list) and isinstance(default, list) and default:
        misfits = [item for item in value if type(item) is not type(default[0])]
        if misfits:
            raise UsageError(f'parameter "{key}" is a list of {kinds[type(default[0])]} each, not {value!r}')
    return value


def parse_param(text: str) -> tuple[str, object]:
    """Read "IA101.low=0.4" as (key, value) with the value in TOML syntax, bare words being text.

    Raises UsageError where it has another form.
    """
    import tomllib

    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"\w+\.\w+", key):
        raise UsageError(f'"{text}" is not of the form RULE.PARAMETER=VALUE', hint="such as IA101.low=0.4")
    try:
        return key, tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value.strip()
