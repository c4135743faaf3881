"""`initadvisor rule`: list, show, test, new."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from initadvisor.rules import discover, packaged_folder
from tests.cli.running import run


def test_the_list_has_every_rule() -> None:
    listed = run("rule").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [rule.id for rule in discover(packs=False)]


def test_a_page_is_rendered_for_reading() -> None:
    page = run("rule", "ia101", env={"COLUMNS": "70"}).stdout
    assert "gain-too-small" in page
    assert "Why it matters" in page
    assert "```" not in page
    assert "\x1b" not in page
    assert all(len(line) <= 70 for line in page.splitlines())


def test_pages_by_name_and_as_markdown() -> None:
    path = discover(packs=False).find("IA101").path
    assert path is not None
    shown = run("rule", "gain-too-small", "--output-format", "markdown")
    assert shown.stdout == path.read_text(encoding="utf-8")


def test_all_pages() -> None:
    pages = run("rule", "--all", "--output-format", "markdown").stdout
    assert all(f"# {rule.id} `" in pages for rule in discover(packs=False))


def test_rules_of_a_configured_folder_are_listed(tmp_path: Path) -> None:
    assert run("rule", "new", "ACME001", "odd-head", "--folder", "mine", cwd=tmp_path).returncode == 0
    (tmp_path / "initadvisor.toml").write_text('rules-dirs = ["mine"]')
    assert "ACME001" in run("rule", cwd=tmp_path).stdout
    assert "ACME001" not in run("rule", cwd=tmp_path.parent).stdout


def test_a_new_rule_passes_its_own_examples(tmp_path: Path) -> None:
    made = run("rule", "new", "ACME001", "odd-head", cwd=tmp_path)
    assert made.stdout.strip() == str(Path("rules") / "ACME001-odd-head.md")
    tested = run("rule", "test", "rules", cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "2 examples, 0 failed" in tested.stdout
    again = run("rule", "new", "ACME001", "odd-head", cwd=tmp_path)
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_new_refuses_ids_and_names_of_another_form(tmp_path: Path) -> None:
    for args in (["acme1", "fine"], ["ACME001", "Not_fine"], ["IA001", "fine"]):
        assert run("rule", "new", *args, cwd=tmp_path).returncode == 2
    assert list(tmp_path.rglob("*.md")) == []


def test_an_example_that_fails_is_named_with_its_place(tmp_path: Path) -> None:
    source = (packaged_folder() / "tensor" / "IA001-non-finite.md").read_text(encoding="utf-8")
    path = tmp_path / "IA001-non-finite.md"
    path.write_text(source.replace('float("nan")', "1.0"), encoding="utf-8")
    tested = run("rule", "test", str(path), cwd=tmp_path)
    assert tested.returncode == 1
    failed = [line for line in tested.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1
    assert "the rule found nothing" in failed[0]
    assert str(path) in failed[0]


def test_the_schema_command_prints_a_json_schema(tmp_path: Path) -> None:
    schema = json.loads(run("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert run("schema", "--output-file", "s.json", cwd=tmp_path).stdout == ""
    assert json.loads((tmp_path / "s.json").read_text()) == schema
