"""The page of facts that rules may name, made from the fact models."""

from __future__ import annotations

from initadvisor.rules.vocabulary import FactName, Vocabulary

_KINDS = {
    "number": "number",
    "text": "text",
    "flag": "true/false",
    "numbers": "list of numbers",
    "texts": "list of texts",
}


def facts_page(vocabulary: Vocabulary) -> str:
    """Markdown: which groups of facts each scope offers, then each group as a table."""
    lines = [
        "# Facts",
        "",
        "What a rule may name in `when`, `let` and `message`. This page is generated: `initadvisor rule facts`.",
        'A fact that is not known for a subject makes the rule "not evaluated" there, unless the rest of the',
        "expression decides without it. All numbers are doubles.",
        "",
        "| scope | one subject is judged with |",
        "|---|---|",
    ]
    for scope, groups in vocabulary.scopes.items():
        lines.append(f"| `{scope}` | {', '.join(f'`{group}.*`' for group in groups)} |")
    for group, facts in vocabulary.groups.items():
        lines += ["", f"## `{group}.*`", "", "| fact | type | unit | meaning |", "|---|---|---|---|"]
        lines += [_row(fact) for fact in facts.values()]
    return "\n".join(lines) + "\n"


def _row(fact: FactName) -> str:
    meaning = " ".join(fact.description.replace("|", "\\|").split())
    return f"| `{fact.name}` | {_KINDS[fact.type]} | {fact.unit} | {meaning} |"
