"""The JSON Schema of the configuration, for editors, and the table of its keys, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from initadvisor.config.keys import CheckKeys, Keys, SuppressKeys, Table, TargetKeys


def config_schema() -> dict[str, Any]:
    """The JSON Schema of `initadvisor.toml` and of `[tool.initadvisor]`, draft 2020-12."""
    schema = Keys.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "initadvisor configuration",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def keys_page() -> str:
    """Markdown tables of the keys: of the whole file, of a target, of a suppression."""
    parts = (
        ("At the top of the file only", _own(Keys)),
        ("At the top of the file, or for a target", _own(CheckKeys)),
        ("In `[targets.NAME]` only", _own(TargetKeys)),
        ("In `[[suppress]]`", _own(SuppressKeys)),
    )
    return "\n".join(
        f"### {title}\n\n| key | default | what it does |\n| --- | --- | --- |\n{rows}" for title, rows in parts
    )


def _own(table: type[Table]) -> str:
    return "".join(_rows(table))


def _rows(table: type[Table]) -> Iterator[str]:
    inherited = {name for base in table.__bases__ for name in getattr(base, "model_fields", {})}
    for name, info in table.model_fields.items():
        if name not in inherited:
            what = (info.description or "").replace("|", "\\|")
            yield f"| `{info.alias or name}` | {_default(info)} | {what} |\n"


def _default(info: Any) -> str:
    if info.is_required():
        return "required"
    value = info.default if info.default_factory is None else {}
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else "empty"
