"""Pages of the documentation site that nobody writes: made from the code that they are about.

A hook of mkdocs (see mkdocs.yml), so that a page cannot fall behind what it describes. To look at one without a site:

    python docs/generate.py cli.md
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from generators.benchmarks import benchmarks_page
from generators.commands import cli_page
from generators.initializers import initializers_page
from generators.readme import readme_page
from generators.report import report_page
from generators.rules import rule_page, rules_index

from initadvisor.report import json_schema
from initadvisor.rules import discover

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"

NAV: list[tuple[str, str]] = [
    ("Home", "index.md"),
    ("日本語", "ja.md"),
    ("Getting started", "getting-started.md"),
    ("Tutorial", "tutorial.md"),
    ("Rules", "rules/index.md"),
    ("Initializers", "initializers.md"),
    ("Command line", "cli.md"),
    ("Configuration", "configuration.md"),
    ("Integrations", "integrations.md"),
    ("Many models", "sweeps.md"),
    ("Service", "service.md"),
    ("Probe", "probe.md"),
    ("Data", "data.md"),
    ("Norms and activations", "norms-and-activations.md"),
    ("Pretrained weights", "pretrained.md"),
    ("Starts from data and tasks", "starts.md"),
    ("Report format", "report.md"),
    ("Facts", "facts.md"),
    ("Writing rules", "writing-rules.md"),
    ("Benchmarks", "benchmarks.md"),
]
"""Titles and pages in the order of the menu; one that is not there is left out."""


def pages() -> dict[str, str]:
    """Every generated page by its path in the site."""
    rules = list(discover(packs=False))
    made = {f"rules/{rule.id}.md": rule_page(rule) for rule in rules}
    made["rules/index.md"] = rules_index(rules)
    made["initializers.md"] = initializers_page()
    made["cli.md"] = cli_page()
    made["report.md"] = report_page(json_schema())
    made["benchmarks.md"] = benchmarks_page(RESULTS)
    made["index.md"] = readme_page(ROOT / "README.md")
    made["ja.md"] = readme_page(ROOT / "README.ja.md")
    return {path: text for path, text in made.items() if text}


def on_config(config: Any) -> Any:
    """The menu, of the pages that there are."""
    config["nav"] = [{title: path} for title, path in NAV if path in pages() or (ROOT / "docs" / path).is_file()]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages; rule pages are reached from their index."""
    from mkdocs.structure.files import File, InclusionLevel

    for path, text in pages().items():
        hidden = path.startswith("rules/IA")
        level = InclusionLevel.NOT_IN_NAV if hidden else InclusionLevel.UNDEFINED
        files.append(File.generated(config, path, content=text, inclusion=level))
    return files


if __name__ == "__main__":
    for wanted in sys.argv[1:] or sorted(pages()):
        sys.stdout.write(pages()[wanted] if sys.argv[1:] else f"{wanted}\n")
