"""Where rules come from."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from initadvisor.errors import RuleError
from initadvisor.rules import collect, discover, packaged_folder, rule_files
from initadvisor.rules.discovery import pack_folder
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


def entry(value: str) -> EntryPoint:
    return EntryPoint("pack", value, "initadvisor.rules")


def test_a_pack_is_found_without_running_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_rule_pack"
    put(package / "more", "T001", "one")
    (package / "__init__.py").write_text("raise SystemExit('run')")
    monkeypatch.syspath_prepend(tmp_path)
    assert pack_folder(entry("some_rule_pack")) == package
    assert pack_folder(entry("some_rule_pack:more")) == package / "more"


@pytest.mark.parametrize("value", ["no_such_package_here", "no_such_package_here.sub", "json.decoder"])
def test_a_pack_that_is_no_package_is_refused(value: str) -> None:
    with pytest.raises(RuleError, match='rule pack "pack"'):
        pack_folder(entry(value))


def test_installed_packs_are_discovered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "some_rule_pack", "T001", "one")
    (tmp_path / "some_rule_pack" / "__init__.py").touch()
    info = tmp_path / "some_rule_pack-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-rule-pack\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[initadvisor.rules]\npack = some_rule_pack\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert discover().find("T001").name == "one"
    assert "T001" not in discover(packs=False).rules
