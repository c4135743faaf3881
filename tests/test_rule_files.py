"""Every example of every rule file: a `bad` one raises its rule and no other error, a `good` one none."""

from __future__ import annotations

from functools import lru_cache

import pytest

from initadvisor.engine.rule_tests import checker_of, load_rules
from initadvisor.rules import Example, Rule, RuleSet, packaged_folder
from initadvisor.rules.examples import label_of, run_example


@lru_cache(maxsize=1)
def _rules() -> tuple[list[Rule], RuleSet]:
    return load_rules([packaged_folder()])


EXAMPLES = [(rule, example) for rule in _rules()[0] for example in rule.examples]


@pytest.mark.parametrize(("rule", "example"), EXAMPLES, ids=[label_of(rule, example) for rule, example in EXAMPLES])
def test_the_example_does_what_its_rule_says(rule: Rule, example: Example) -> None:
    outcome = run_example(rule, example, checker_of(rule, _rules()[1]))
    assert not outcome.problem, f"{rule.path}:{example.line}: {outcome.problem}"


def test_there_are_rules() -> None:
    assert len(_rules()[0]) >= 25
