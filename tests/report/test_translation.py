"""Reports in Japanese: the words change; names, numbers, evidence and fingerprints do not."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from string import Formatter

import pytest

from initadvisor.report import LANGUAGES, render
from initadvisor.report.japanese import PHRASES
from initadvisor.report.phrases import english, speaker
from initadvisor.report.translation import formatted
from initadvisor.rules import RuleSet, discover
from tests.report.samples import HOSTILE, finding, report

SOURCES = sorted(Path(__file__).parents[2].joinpath("initadvisor/report").glob("*.py"))


@pytest.fixture(scope="module")
def known() -> RuleSet:
    return discover(packs=False)


def _said() -> set[str]:
    """Every phrase that the renderers say, read from their source."""
    found: set[str] = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
                first = node.args[0]
                choices = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
                found |= {c.value for c in choices if isinstance(c, ast.Constant) and isinstance(c.value, str)}
    return found


def _names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_phrase_of_the_renderers_has_its_japanese() -> None:
    said = _said()
    assert len(said) > 20
    built = {"error", "warning", "info", "Why", "Fix", "forward", "gradient"}
    counted = {
        f"{{count}} {what}" for what in ("error", "errors", "warning", "warnings", "info", "layers", "suppressed")
    }
    assert said | built | counted <= set(PHRASES)


@pytest.mark.parametrize("phrase", PHRASES)
def test_phrases_show_the_same_values(phrase: str) -> None:
    assert _names(phrase) == _names(PHRASES[phrase])


def test_a_phrase_that_no_catalogue_holds_stays_english() -> None:
    assert speaker("ja")("there is {count} of it", count=1) == english("there is {count} of it", count=1)
    assert "en" in LANGUAGES


def test_every_error_speaks_japanese_and_most_other_rules_do(known: RuleSet) -> None:
    spoken = 0
    active = [rule for rule in known if rule.status != "removed"]
    for rule in active:
        words = rule.active.ja
        if words is None:
            assert rule.active.severity != "error", rule.id
            continue
        spoken += 1
        assert words.why, rule.id
        hint = rule.active.fix.hint if rule.active.fix else None
        assert bool(words.hint) == bool(hint), rule.id
        for text in (words.title, words.message, words.why):
            assert not text.isascii(), rule.id
            assert text == text.strip(), rule.id
    assert spoken > 0.8 * len(active)


def test_a_message_is_formatted_from_evidence() -> None:
    evidence = {
        "a": 0.123456,
        "b": "nan",
        "c": HOSTILE,
        "d": ["x", "y"],
        "e": True,
        "model.probe.on": " on a synthetic batch",
    }
    text = "{a:.2g}、{b:.3g}、{c}、{d}、{e}、{missing}{model.probe.on}"
    assert formatted(text, evidence) == f"0.12、nan、{HOSTILE}、x、y、はい、不明(合成バッチで測定)"


def test_only_words_change(known: RuleSet) -> None:
    rules = dict(known.rules)
    made = finding("IA114", "fc").model_copy(update={"evidence": {"bias.rms": 3.0, "layer.gain": 1.0}})
    original, changed = (
        json.loads(render([report(made)], "json", rules=rules, language=language))["findings"][0]
        for language in LANGUAGES
    )
    assert changed["message"].startswith("バイアスの RMS は 3 で")
    assert original["message"] == "std 0.01 is small"
    assert {k: v for k, v in changed.items() if k != "message"} == {k: v for k, v in original.items() if k != "message"}


def test_a_full_report_in_japanese(known: RuleSet) -> None:
    made = finding("IA114", "fc").model_copy(update={"evidence": {"bias.rms": 3.0, "layer.gain": 1.0}})
    text = render([report(made)], "full", rules=dict(known.rules), why={"IA114": "Why."}, language="ja")
    for words in (
        "エラー IA114 gain-too-small 大きすぎるバイアス\n",
        "理由: どのサンプルにも",
        "エラー 1 件。",
        "検査範囲",
    ):
        assert words in text
    assert "Why." not in text
