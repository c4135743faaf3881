"""A small vocabulary and a rule file in parts, for tests of the engine that need no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from initadvisor.rules import CompiledRule, FactName, Rule, Subject, Vocabulary, parse_text
from initadvisor.rules.vocabulary import FactType

_GROUPS: dict[str, dict[str, FactType]] = {
    "layer": {
        "name": "text",
        "kind": "text",
        "activation": "text",
        "norm_after": "text",
        "fan_in": "number",
        "gain": "number",
        "recommended_gain": "number",
        "has_bias": "flag",
        "blocks": "texts",
        "block_gains": "numbers",
    },
    "tensor": {"std": "number", "absmax": "number", "count": "number", "trainable": "flag"},
    "model": {"depth": "number"},
}

VOCABULARY = Vocabulary(
    {"layer": ("layer", "tensor", "model"), "tensor": ("tensor", "model"), "model": ("model",)},
    {
        group: {f"{group}.{name}": FactName(f"{group}.{name}", kind) for name, kind in facts.items()}
        for group, facts in _GROUPS.items()
    },
)

SECTIONS = """
## What it does

Looks.

## Why it matters

It matters a great deal to training. It does.

## When to ignore it

Never.

## References

- Somebody, 2020.
"""


def rule_text(block: str, title: str = "# T001 `sample-rule`", rest: str = SECTIONS) -> str:
    """The text of a rule file around the lines of a TOML block."""
    return f"{title}\n\n```toml rule\n{block}\n```\n{rest}"


def block(when: str = "layer.gain < 1.0", message: str = "gain {layer.gain}", **keys: str) -> str:
    """A TOML block; `keys` are further lines, as TOML source."""
    lines = {
        "status": '"stable"',
        "since": '"0.1"',
        "severity": '"error"',
        "scope": '"layer"',
        "when": f"'''{when}'''",
        "message": f"'''{message}'''",
        **keys,
    }
    return "\n".join(f"{key} = {value}" for key, value in lines.items())


def rule(when: str = "layer.gain < 1.0", message: str = "gain {layer.gain}", **keys: str) -> Rule:
    """A parsed rule."""
    return parse_text(rule_text(block(when, message, **keys)), Path("some/T001-sample-rule.md"))


def compiled(when: str = "layer.gain < 1.0", message: str = "gain {layer.gain}", **keys: str) -> CompiledRule:
    """A compiled rule over VOCABULARY."""
    return CompiledRule(rule(when, message, **keys), VOCABULARY)


def layer(name: str = "fc", **facts: Any) -> Subject:
    """A layer with facts given as `layer_gain=0.5` for layer.gain."""
    return Subject("layer", name, {key.replace("_", ".", 1): value for key, value in facts.items()}, f"{name}.weight")
