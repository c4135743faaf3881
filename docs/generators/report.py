"""The page of the report, from its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .cells import cell


def report_page(schema: Mapping[str, Any]) -> str:
    """The JSON report, one table a record, from its schema."""
    lines = [
        "# Report format",
        "",
        "`--output-format json` gives this document: an object for one target, an array for several; `jsonl` is one",
        "object a line. The schema itself is printed by `initadvisor schema`. A finding's `fingerprint` is made of",
        "names only, so that it survives retraining and upgrades. Shapes are as stored. Messages are English unless",
        "`--lang` asks for another language.",
    ]
    top = {"properties": schema["properties"], "description": "The whole document."}
    for name, record in {"Report": top, **schema["$defs"]}.items():
        if "properties" not in record:
            continue
        lines += ["", f"## {name}", "", " ".join(str(record.get("description", "")).split()), ""]
        lines += ["| key | type | default |", "|---|---|---|"]
        lines += [
            f"| `{key}` | {cell(_kind(value))} | {_default(value)} |" for key, value in record["properties"].items()
        ]
    return "\n".join(lines) + "\n"


def _kind(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        name = str(value["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in value or "enum" in value:
        return ", ".join(f"`{json.dumps(each)}`" for each in value.get("enum", [value.get("const")]))
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_kind(each) for each in value["anyOf"]))
    if value.get("type") == "array":
        items = value.get("items") or {}
        return f"list of {_kind(items)}" if items else "list"
    return str(value.get("type", "anything"))


def _default(value: Mapping[str, Any]) -> str:
    return f"`{json.dumps(value['default'])}`" if "default" in value and value["default"] not in ({}, []) else ""
