"""Suppressions that an ONNX file brings along, in its metadata under the key `initadvisor.suppress`.

The file may come from a stranger: what is read here has bounds, is obeyed only where the user says so, and can add a
note to a report but never an error.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from initadvisor.graph import Marker

if TYPE_CHECKING:
    from onnx import ModelProto

KEY = "initadvisor.suppress"
MAX_CHARACTERS = 65_536
MAX_ENTRIES = 256
MAX_TEXT = 1_024
"""Characters of one glob, rule or reason."""


def carried(model: ModelProto) -> tuple[list[Marker], str]:
    """The suppressions in a file's metadata, and what is wrong with them, "" for nothing.

    JSON text: `[{"layers": "head.*", "rules": ["IA103"], "reason": "class prior", "expires": "2027-01-31"}]`.
    """
    texts = [entry.value for entry in model.metadata_props if entry.key in (KEY, KEY.encode())]
    if not texts:
        return [], ""
    if len(texts) > 1:
        return [], f"the file holds {len(texts)} entries {KEY}"
    if len(texts[0]) > MAX_CHARACTERS:
        return [], f"the file's {KEY} is longer than {MAX_CHARACTERS} characters"
    try:
        rows = json.loads(texts[0])
    except (ValueError, RecursionError):
        return [], f"the file's {KEY} is not JSON"
    if not isinstance(rows, list) or len(rows) > MAX_ENTRIES:
        return [], f"the file's {KEY} is not a list of up to {MAX_ENTRIES} entries"
    found = [_marker(row) for row in rows]
    good = [marker for marker in found if marker is not None]
    bad = len(found) - len(good)
    return good, f"{bad} of {len(found)} entries of the file's {KEY} cannot be used" if bad else ""


def _marker(row: Any) -> Marker | None:
    if not isinstance(row, dict) or not {"reason"} <= set(row) <= {"layers", "rules", "reason", "expires"}:
        return None
    layers, rules = _texts(row.get("layers", ["*"])), _texts(row.get("rules", []))
    reason, expires = row["reason"], row.get("expires")
    if not layers or rules is None or not _is_text(reason) or not (expires is None or _is_text(expires)):
        return None
    return Marker(layers, reason, rules, expires, "the model file")


def _texts(value: Any) -> tuple[str, ...] | None:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or len(values) > MAX_ENTRIES or not all(_is_text(each) for each in values):
        return None
    return tuple(values)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= MAX_TEXT
