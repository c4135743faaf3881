"""`check --show-settings`: what governs a target, and where each of it was set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initadvisor.report.escape import visible

if TYPE_CHECKING:
    from initadvisor.cli.runs import Run
    from initadvisor.config import Config
    from initadvisor.rules.suppressions import Suppression


def settings_as_text(run: Run) -> str:
    """The settings of a run as TOML, each line with a comment on its origin."""
    settings = run.settings
    name = f" ({run.name})" if run.name and run.name != run.target else ""
    rows = list(_rows(settings))
    width = min(max(len(text) for text, _ in rows), 60)
    lines = [f"# {run.target}{name}", f"# configuration: {settings.path or 'none'}"]
    lines += [f"{text:<{width}}  # {origin}" for text, origin in rows]
    return "".join(f"{visible(line)}\n" for line in lines)


def _rows(settings: Config) -> Iterator[tuple[str, str]]:
    from initadvisor.config.settings import KEYS

    for key in KEYS:
        value, name = getattr(settings, key), key.replace("_", "-")
        if key == "suppress":
            for suppression in value:
                yield f"suppress = {_value(_written(suppression))}", suppression.origin
        elif isinstance(value, Mapping) and value:
            for entry, own in value.items():
                yield f"{name}.{_entry(entry)} = {_value(own)}", settings.origin(f"{key}.{entry}")
        elif value is not None:
            yield f"{name} = {_value(value)}", settings.origin(key)


def _entry(name: str) -> str:
    return name if all(part.replace("-", "_").isidentifier() for part in name.split(".")) else json.dumps(name)


def _written(suppression: Suppression) -> dict[str, Any]:
    found = {"layers": suppression.layers, "rules": suppression.rules, "reason": suppression.reason}
    return {**found, **({"expires": suppression.expires} if suppression.expires else {})}


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(own)}" for key, own in value.items()) + " }" if value else "{}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False)
    pattern = getattr(value, "pattern", None)
    if pattern is not None:
        spec = value.spec.to_json() if value.spec else "keep"
        return f"{{ {json.dumps(pattern, ensure_ascii=False)} = {_value(spec)} }}"
    return str(value)
