"""The page of facts is made from the fact models and kept current."""

from __future__ import annotations

from pathlib import Path

from initadvisor.engine.look import vocabulary
from initadvisor.rules.facts_page import facts_page
from tests.rules.samples import VOCABULARY

PAGE = Path(__file__).parents[2] / "docs" / "facts.md"


def test_the_committed_page_is_current() -> None:
    current = facts_page(vocabulary())
    assert PAGE.read_text(encoding="utf-8") == current, "run: initadvisor rule facts --output-file docs/facts.md"


def test_every_fact_has_a_meaning() -> None:
    names = vocabulary()
    facts = [fact for group in names.groups.values() for fact in group.values()]
    assert [fact.name for fact in facts if not fact.description] == []
    assert {"layer.gain", "tensor.std", "bias.max", "norm.op", "model.depth"} <= {fact.name for fact in facts}


def test_scopes_and_groups_are_listed() -> None:
    page = facts_page(VOCABULARY)
    assert "| `layer` | `layer.*`, `tensor.*`, `model.*` |" in page
    assert "| `layer.block_gains` | list of numbers |" in page
