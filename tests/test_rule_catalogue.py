"""What holds for the rules that ship, taken together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from initadvisor.initializers import METHODS
from initadvisor.rules import Rule, discover

FOLDERS = {
    "0": "tensor",
    "1": "variance",
    "2": "structure",
    "3": "activation",
    "4": "normalization",
    "5": "signal",
    "6": "probe",
    "7": "transfer",
    "8": "data",
    "9": "training",
}
RULES = [rule for rule in discover(()) if rule.status != "removed"]


def test_the_first_families_are_there() -> None:
    counts = {folder: sum(rule.category == folder for rule in RULES) for folder in FOLDERS.values()}
    assert counts["tensor"] >= 10
    assert counts["variance"] >= 10
    assert counts["structure"] >= 10
    assert counts["activation"] >= 3


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_an_id_tells_the_folder_and_a_file_name_the_rule(rule: Rule) -> None:
    assert rule.category == FOLDERS[rule.id[2]]
    assert Path(rule.path).name == f"{rule.id}-{rule.name}.md"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_fix_names_an_initializer_that_exists(rule: Rule) -> None:
    fix = rule.active.fix
    assert fix is not None
    assert fix.initializer in {None, "recommended", *METHODS}
    assert fix.initializer or fix.hint


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_parameter_is_read_and_every_let_is_used(rule: Rule) -> None:
    settings = rule.active
    expressions = " ".join([settings.when, *settings.let.values(), settings.message])
    assert [name for name in settings.p if not re.search(rf"\bp\.{name}\b", expressions)] == []
    texts = " ".join([settings.when, settings.message, *settings.let.values(), str(settings.fix)])
    assert [name for name in settings.let if not re.search(rf"\b{name}\b", texts)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_page_cites_its_source(rule: Rule) -> None:
    references = rule.sections["References"]
    assert references.count("\n-") + references.startswith("-") >= 1
    assert re.search(r"\b(19|20)\d\d\b|documentation|issues? \d+|[Ii]nitializers", references)
