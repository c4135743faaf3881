"""Where rules come from."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from initadvisor.errors import RuleError
from initadvisor.rules import collect, discover, packaged_folder, rule_files
from initadvisor.rules.discovery import _pack_folder
from tests.rules.samples import block, rule_text


def put(folder: Path, rule_id: str, name: str, status: str = "stable") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{rule_id}-{name}.md"
    path.write_text(rule_text(block(status=f'"{status}"'), title=f"# {rule_id} `{name}`"), encoding="utf-8")
    return path


def test_the_packaged_rules_are_found_and_sorted() -> None:
    rules = discover(packs=False)
    ids = [rule.id for rule in rules]
    assert "IA001" in ids
    assert ids == sorted(ids)
    assert all(rule.path is not None and packaged_folder() in rule.path.parents for rule in rules)


def test_folders_add_rules_and_their_name_is_the_category(tmp_path: Path) -> None:
    put(tmp_path / "mine", "T001", "one")
    (tmp_path / "mine" / "README.md").write_text("# Notes")
    (tmp_path / "mine" / "_draft.md").write_text("# Draft")
    rules = discover([tmp_path])
    assert rules.find("T001").category == "mine"
    assert rules.find("one").id == rules.find("t001").id == "T001"


def test_a_folder_given_twice_counts_once(tmp_path: Path) -> None:
    put(tmp_path, "T001", "one")
    assert discover([tmp_path, tmp_path]).find("T001").name == "one"


@pytest.mark.parametrize("second", [("T001", "two"), ("T002", "one")])
def test_an_id_or_a_name_is_given_once(tmp_path: Path, second: tuple[str, str]) -> None:
    first = put(tmp_path / "a", "T001", "one")
    other = put(tmp_path / "b", *second)
    with pytest.raises(RuleError, match="is taken by") as caught:
        collect([first, other])
    assert str(first) in str(caught.value)
    assert str(other) in str(caught.value)


def test_packaged_ids_cannot_be_taken_by_a_folder(tmp_path: Path) -> None:
    put(tmp_path, "IA001", "mine")
    with pytest.raises(RuleError, match='"IA001" is taken by'):
        discover([tmp_path])


def test_a_removed_rule_keeps_its_id(tmp_path: Path) -> None:
    gone = tmp_path / "T001-one.md"
    gone.write_text('# T001 `one`\n\n```toml rule\nstatus = "removed"\nsince = "0.1"\nremoved = "0.2"\n```\n')
    with pytest.raises(RuleError, match="is taken by"):
        collect([gone, put(tmp_path / "new", "T001", "two")])


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="does not exist"):
        rule_files(tmp_path / "none")


def test_unknown_rules_come_with_a_suggestion() -> None:
    with pytest.raises(RuleError, match=r"did you mean"):
        discover(packs=False).find("non-finit")


def test_a_pack_names_a_package_or_a_path(tmp_path: Path) -> None:
    package = ModuleType("pack")
    package.__path__ = [str(tmp_path)]
    assert _pack_folder("pack", lambda: package) == tmp_path
    assert _pack_folder("pack", lambda: tmp_path) == tmp_path
    with pytest.raises(RuleError, match='pack "p" names 3'):
        _pack_folder("p", lambda: 3)
    with pytest.raises(RuleError, match='pack "broken" cannot be loaded: ModuleNotFoundError'):
        _pack_folder("broken", EntryPoint("broken", "no_such_package_here", "initadvisor.rules").load)
