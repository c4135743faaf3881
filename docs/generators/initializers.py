"""The page of the initializers."""

from __future__ import annotations

from initadvisor.initializers import METHODS
from initadvisor.initializers.registry import ALIASES

from .cells import cell


def initializers_page() -> str:
    """Every method: its signature, its own docstring, its other names."""
    lines = ["# Initializers", "", "What a plan may draw from: `initadvisor advise` chooses, a `policy` decides.", ""]
    lines += ["| method | in one sentence |", "|---|---|"]
    lines += [f"| [`{name}`](#{name}) | {cell(method.summary)} |" for name, method in sorted(METHODS.items())]
    for name, method in sorted(METHODS.items()):
        signature = ", ".join(str(parameter).replace("'", "") for parameter in method.parameters.values())
        lines += ["", f"## `{name}`", "", "```text", f"{name}({signature})", "", method.doc, "```"]
        other = [alias for alias, meant in ALIASES.items() if meant == name]
        if other:
            lines += ["", f"Also called {', '.join(f'`{alias}`' for alias in other)}."]
    return "\n".join(lines) + "\n"
