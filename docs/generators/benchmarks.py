"""The page of the benchmarks, read from their results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .cells import cell
from .figures import FIGURES


def benchmarks_page(folder: Path) -> str:
    """Figures from the committed results, with the day and the machine of each."""
    lines = [
        "# Benchmarks",
        "",
        "Read from `benchmarks/results/`, where the full results lie; the scripts that made them are beside it.",
        "",
        "| measured | value | date | machine | result |",
        "|---|---|---|---|---|",
    ]
    for file, what, find in FIGURES:
        path = folder / file
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            value = find(result)
        except (OSError, LookupError, TypeError):
            continue
        date, machine = _first(result, "date"), _machine(result)
        lines.append(f"| {what} | {value} | {str(date)[:10]} | {cell(machine)} | `{file}` |")
    known = {file for file, _, _ in FIGURES}
    more = [path for path in sorted(folder.glob("*.json")) if path.name not in known]
    lines += ["", "Further results: " + ", ".join(f"`{path.name}`" for path in more) + "."]
    return "\n".join(lines) + "\n"


def _first(tree: Any, key: str) -> Any:
    """The first value of a key, in the order of the file, at any depth."""
    if isinstance(tree, dict):
        if key in tree:
            return tree[key]
        for value in tree.values():
            found = _first(value, key)
            if found is not None:
                return found
    return None


def _machine(result: Any) -> str:
    found = _first(result, "machine")
    if isinstance(found, dict):
        kind = next((found[key] for key in ("cpu", "machine", "architecture", "processor") if found.get(key)), "")
        cores = found.get("processors", found.get("cores"))
        found = ", ".join(filter(None, (kind, f"{cores} cores" if cores else "")))
    return str(found or "not recorded")
