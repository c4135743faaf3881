"""`--lang`, INITADVISOR_LANG: people read Japanese, machines English unless they are told otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from initadvisor.cli.language import LANGUAGES
from tests.cli.models import mlp
from tests.cli.running import here, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("language")
    mlp(made / "broken.onnx", gain=0.01)
    return made


@pytest.mark.parametrize("args", [["--lang", "ja", "check", "broken.onnx"], ["check", "broken.onnx", "--lang", "ja"]])
def test_the_option_stands_before_or_behind_the_command(folder: Path, args: list[str]) -> None:
    done = here(*args, cwd=folder)
    assert done.returncode == 1
    assert "エラー IA" in done.stdout
    assert "検査範囲" in done.stdout


@pytest.mark.parametrize("value", ["ja", "ja_JP.UTF-8", "JA-jp"])
def test_the_environment_speaks_to_people_only(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("INITADVISOR_LANG", value)
    assert "エラー" in here("check", "broken.onnx", cwd=folder).stdout
    assert here("check", "broken.onnx", "--output-format", "json", cwd=folder).stdout.isascii()
    assert "error IA" in here("check", "broken.onnx", "--lang", "en", cwd=folder).stdout


def test_machines_get_japanese_only_where_it_is_asked_for(folder: Path) -> None:
    plain = json.loads(here("check", "broken.onnx", "--output-format", "json", cwd=folder).stdout)
    asked = json.loads(here("check", "broken.onnx", "--output-format", "json", "--lang", "ja", cwd=folder).stdout)
    pairs = list(zip(plain["findings"], asked["findings"], strict=True))
    assert pairs
    for english, japanese in pairs:
        assert english["fingerprint"] == japanese["fingerprint"]
        assert english["message"].isascii()
        assert not japanese["message"].isascii()
    assert plain["settings_digest"] == asked["settings_digest"]


def test_an_unknown_language_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert here("check", "broken.onnx", "--lang", "fr", cwd=folder).returncode == 2
    monkeypatch.setenv("INITADVISOR_LANG", "fr")
    done = here("check", "broken.onnx", cwd=folder)
    assert done.returncode == 2
    assert 'error: INITADVISOR_LANG is "fr"' in done.stderr


def test_rules_are_listed_and_shown_with_their_titles(folder: Path) -> None:
    assert "vanishing-chain  層の連なりでの勾配消失" in here("--lang", "ja", "rule", cwd=folder).stdout
    page = here("rule", "IA103", "--lang", "ja", cwd=folder).stdout
    assert "勾配消失" in page
    assert "message =" not in page.split("What it does")[0].split("fix ")[-1]
    assert "勾配" not in here("rule", "IA103", cwd=folder).stdout


def test_a_screen_without_the_characters_is_no_crash(folder: Path) -> None:
    done = run("check", "broken.onnx", "--lang", "ja", cwd=folder, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1
    assert "\\u" in done.stdout


def test_the_languages_are_those_of_the_reports() -> None:
    from initadvisor.report import LANGUAGES as KNOWN

    assert LANGUAGES == KNOWN


def test_the_configuration_speaks_to_people_and_the_environment_wins(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "initadvisor.toml").write_text('lang = "ja"\n')
    model = str(folder / "broken.onnx")
    assert "エラー" in here("check", model, cwd=tmp_path).stdout
    assert here("check", model, "--output-format", "json", cwd=tmp_path).stdout.isascii()
    monkeypatch.setenv("INITADVISOR_LANG", "en")
    assert "error IA" in here("check", model, cwd=tmp_path).stdout
