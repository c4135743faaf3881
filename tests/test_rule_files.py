"""Every example of every rule file: a `bad` one raises its rule and no other error, a `good` one none."""

from __future__ import annotations

import pytest

from initadvisor.engine.rule_tests import Checkers, load_rules
from initadvisor.rules import Example, Rule, packaged_folder
from initadvisor.rules.examples import label_of, run_example

RULES, KNOWN = load_rules([packaged_folder()])
EXAMPLES = [(rule, example) for rule in RULES for example in rule.examples]


@pytest.fixture(scope="module")
def checkers() -> Checkers:
    return Checkers(KNOWN)


@pytest.mark.parametrize(("rule", "example"), EXAMPLES, ids=[label_of(rule, example) for rule, example in EXAMPLES])
def test_the_example_does_what_its_rule_says(rule: Rule, example: Example, checkers: Checkers) -> None:
    outcome = run_example(rule, example, checkers.of(rule))
    assert not outcome.problem, f"{rule.path}:{example.line}: {outcome.problem}"


def test_there_are_rules() -> None:
    assert len(RULES) >= 25
