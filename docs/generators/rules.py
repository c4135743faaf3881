"""The pages of the rules and their index."""

from __future__ import annotations

import json
import re
from textwrap import wrap

from initadvisor.rules import Rule


def rules_index(rules: list[Rule]) -> str:
    """One table a category."""
    lines = ["# Rules", "", "`initadvisor rule` lists them, `initadvisor rule IA101` shows one.", ""]
    for category in dict.fromkeys(rule.category for rule in rules):
        lines += [
            f"## {category.capitalize()}",
            "",
            "| rule | name | severity | status | 日本語 |",
            "|---|---|---|---|---|",
        ]
        for rule in (rule for rule in rules if rule.category == category):
            severity = rule.active.severity if rule.status != "removed" else ""
            title = rule.active.ja.title if rule.status != "removed" and rule.active.ja else ""
            lines.append(f"| [{rule.id}]({rule.id}.md) | `{rule.name}` | {severity} | {rule.status} | {title} |")
        lines.append("")
    return "\n".join(lines)


def rule_page(rule: Rule) -> str:
    """The rule file with its settings as text and its examples as plain code."""
    text = re.sub(r"```toml rule\n.*?```\n", lambda _: _settings(rule), rule.text, count=1, flags=re.DOTALL)
    return re.sub(r'```python (bad|good)(?: title="([^"]*)")?\n', _example, text)


def _settings(rule: Rule) -> str:
    if rule.status == "removed":
        return f"Removed. {json.dumps(rule.settings.model_dump(mode='json'))}\n"
    active = rule.active
    needs = ", ".join(active.needs) or "nothing"
    lines = [f"**{active.severity}** about each {active.scope}; {rule.status} since {active.since}; needs {needs}.", ""]
    lines += ["```text", *wrap(active.message, 100), "```", ""]
    if active.ja:
        words = active.ja
        lines += [f"**{words.title}**: {_inline(words.message)}。{words.why}", ""]
    lines += ["Fires where", "", "```text", *active.when.strip().splitlines(), "```", ""]
    for title, table in (("with", active.let), ("Parameters", active.p)):
        if table:
            lines += [f"{title}:", "", *(f"- `{name} = {json.dumps(value)}`" for name, value in table.items()), ""]
    return "\n".join(lines)


def _inline(text: str) -> str:
    """Names in braces as code."""
    return re.sub(r"(\{[^}]*\})", r"`\1`", text)


def _example(match: re.Match[str]) -> str:
    kind = "Raises the rule" if match[1] == "bad" else "Is fine"
    return f"**{kind}{': ' + match[2] if match[2] else ''}**\n\n```python\n"
