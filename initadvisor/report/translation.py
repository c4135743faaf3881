"""Reports in the words that rule files carry for another language: messages are formatted anew from their evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from initadvisor.report.model import Report
from initadvisor.report.phrases import Language
from initadvisor.rules.finding import EvidenceValue, Finding
from initadvisor.rules.messages import fields_of, show
from initadvisor.rules.rule import Rule, Translation

WORDS: Mapping[str, Mapping[str, str]] = {
    "model.probe.on": {"": "", " on a synthetic batch": "(合成バッチで測定)"},
    "model.probe.nonfinite_phase": {
        "batch": "バッチ",
        "parameter": "パラメータ",
        "forward": "順伝播",
        "loss": "損失",
        "backward": "逆伝播",
    },
    "where": {"an operator that could not be named": "特定できない演算子"},
    "layer.activation": {"": "線形", "linear": "線形"},
}
"""Facts whose text is a word of ours and no name from a model, and that word in Japanese."""

Texts = Mapping[str, str]


def translated(
    reports: Sequence[Report], rules: Mapping[str, Rule], why: Texts, language: Language
) -> tuple[list[Report], dict[str, str], dict[str, str]]:
    """The reports with messages and hints in a language, what matters about each rule in it, and the rules' titles.

    What a rule file does not carry stays as it is. Fingerprints, evidence and verdicts are the same in every language.
    """
    known = {name: found for name, rule in rules.items() if (found := translation_of(rule, language)) is not None}
    reasons = {**why, **{name: words.why for name, words in known.items() if words.why}}
    titles = {name: words.title for name, words in known.items()}
    return [_report(report, known) for report in reports], reasons, titles


def translation_of(rule: Rule, language: Language) -> Translation | None:
    """What a rule file says in a language, or None."""
    found = getattr(rule.settings, language, None)
    return found if isinstance(found, Translation) else None


def _report(report: Report, known: Mapping[str, Translation]) -> Report:
    if not any(finding.rule in known for finding in report.findings):
        return report
    findings = tuple(
        _finding(finding, known[finding.rule]) if finding.rule in known else finding for finding in report.findings
    )
    return report.model_copy(update={"findings": findings})


def _finding(finding: Finding, words: Translation) -> Finding:
    changes: dict[str, object] = {"message": formatted(words.message, finding.evidence)}
    if finding.fix is not None and finding.fix.hint and words.hint:
        hint = formatted(words.hint, finding.evidence)
        changes["fix"] = finding.fix.model_copy(update={"hint": hint})
    return finding.model_copy(update=changes)


def formatted(source: str, evidence: Mapping[str, EvidenceValue]) -> str:
    """A message with its names filled in from evidence, where infinities and NaN are text."""
    return "".join(
        literal + ("" if name is None else _shown(name, evidence.get(name), spec))
        for literal, name, spec in fields_of(source)
    )


def _shown(name: str, value: EvidenceValue | None, spec: str) -> str:
    if value is None:
        return "不明"
    if isinstance(value, bool):
        return "はい" if value else "いいえ"
    if isinstance(value, str):
        return WORDS.get(name, {}).get(value, value)
    if isinstance(value, list) and any(isinstance(item, str) for item in value):
        return "、".join(map(str, value))
    return show(value, spec)
