"""Pages of the documentation site that nobody writes: made from the code that they are about.

A hook of mkdocs (see mkdocs.yml), so that a page cannot fall behind what it describes. To look at one without a site:

    python docs/generate.py cli.md
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from initadvisor.cli.main import LazyGroup, cli
from initadvisor.initializers import METHODS
from initadvisor.initializers.registry import ALIASES
from initadvisor.report import json_schema
from initadvisor.rules import Rule, discover

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


# --- rules


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
    lines += ["```text", *_wrapped(active.message), "```", ""]
    if active.ja:
        words = active.ja
        lines += [f"**{words.title}**: {_inline(words.message)}。{words.why}", ""]
    lines += ["Fires where", "", "```text", *active.when.strip().splitlines(), "```", ""]
    for title, table in (("with", active.let), ("Parameters", active.p)):
        if table:
            lines += [f"{title}:", "", *(f"- `{name} = {json.dumps(value)}`" for name, value in table.items()), ""]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 100)


def _inline(text: str) -> str:
    """Names in braces as code."""
    return re.sub(r"(\{[^}]*\})", r"`\1`", text)


def _example(match: re.Match[str]) -> str:
    kind = "Raises the rule" if match[1] == "bad" else "Is fine"
    return f"**{kind}{': ' + match[2] if match[2] else ''}**\n\n```python\n"


# --- initializers


def initializers_page() -> str:
    """Every method: its signature, its own docstring, its other names."""
    lines = ["# Initializers", "", "What a plan may draw from: `initadvisor advise` chooses, a `policy` decides.", ""]
    lines += ["| method | in one sentence |", "|---|---|"]
    lines += [f"| [`{name}`](#{name}) | {_cell(method.summary)} |" for name, method in sorted(METHODS.items())]
    for name, method in sorted(METHODS.items()):
        signature = ", ".join(str(parameter).replace("'", "") for parameter in method.parameters.values())
        lines += ["", f"## `{name}`", "", "```text", f"{name}({signature})", "", method.doc, "```"]
        other = [alias for alias, meant in ALIASES.items() if meant == name]
        if other:
            lines += ["", f"Also called {', '.join(f'`{alias}`' for alias in other)}."]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text inside a table, where a bar would end the cell and angle brackets would be markup."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


# --- command line


def cli_page() -> str:
    """Every command with its usage, its help and its options, asked of the commands themselves."""
    lines = ["# Command line", "", "```text", *_help_text(cli, "initadvisor"), "```"]
    for path, command in commands(cli, "initadvisor"):
        lines += ["", f"## {path}", "", f"`{_usage(command, path)}`", "", *_prose(command)]
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        rows = [_option(option, path) for option in options]
        if rows:
            lines += ["", "| option | |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below a group with what is typed for it, in the order of the help."""
    ctx = click.Context(group, info_name=path)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command is None or command.hidden:
            continue
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def _context(command: click.Command, path: str) -> click.Context:
    return click.Context(command, info_name=path, terminal_width=100, max_content_width=100)


def _usage(command: click.Command, path: str) -> str:
    return command.get_usage(_context(command, path)).removeprefix("Usage: ").replace("\n", " ")


def _help_text(command: LazyGroup, path: str) -> list[str]:
    return command.get_help(_context(command, path)).splitlines()


def _prose(command: click.Command) -> list[str]:
    lines: list[str] = []
    for paragraph in (command.help or "").strip().split("\n\n"):
        plain = paragraph.lstrip()
        if plain.startswith("\b"):
            lines += ["```text", *(line.strip() for line in plain.splitlines()[1:]), "```", ""]
        else:
            lines += [" ".join(_cell(plain).split()), ""]
    return lines[:-1]


def _option(option: click.Option, path: str) -> str:
    record = option.get_help_record(_context(click.Command("x"), path))
    names, text = record if record else (", ".join(option.opts), "")
    return f"| `{_cell(names)}` | {_cell(text)} |"


# --- report


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
            f"| `{key}` | {_cell(_kind(value))} | {_default(value)} |" for key, value in record["properties"].items()
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


# --- benchmarks

Find = Callable[[Any], object]

FIGURES: list[tuple[str, str, Find]] = [
    (
        "startup.json",
        "`import initadvisor`, seconds (target 0.1)",
        lambda d: d["rows"]["import initadvisor"]["seconds"],
    ),
    (
        "startup.json",
        "`initadvisor --help`, seconds (target 0.3)",
        lambda d: d["rows"]["initadvisor --help"]["seconds"],
    ),
    ("static.json", "check of a ResNet-50 file over `onnx.checker`, in time", lambda d: d["cold_check"]["ratio"]),
    ("chains.json", "deep nets: errors that were right", lambda d: d["result"]["precision"]),
    ("chains.json", "deep nets: untrainable ones found", lambda d: d["result"]["recall"]),
    ("signal.json", "models and stacks over which the predicted signal was compared", lambda d: d["all"]["models"]),
    ("signal.json", "median relative error of the predicted std", lambda d: d["all"]["activation_std"]["median_error"]),
    ("fingerprint.json", "random draws that were called trained", lambda d: d["random_draws"]["false alarm rate"]),
    (
        "fingerprint.json",
        "torchvision tensors at random init called random, of the right family",
        lambda d: d["zoo"]["right"],
    ),
    (
        "fingerprint.json",
        "tensors called trained after 200 steps (target 0.95)",
        lambda d: d["trained_test"]["rates"]["trained tensors called trained"],
    ),
    (
        "recognition.json",
        "torchvision models recognised by their shapes, of 160 cases",
        lambda d: d["recognised by shapes"]["right and alone"],
    ),
    ("zoo.json", "published models looked at", lambda d: d["summary"]["looked at"]),
    ("zoo.json", "of these, with errors of check", lambda d: len(d["summary"]["check"]["models with errors"])),
    (
        "trainability.json",
        "350 starts, the half that no fit has seen: AUC of the probe (target 0.96)",
        lambda d: d["test"]["looks"]["probe"]["AUC"],
    ),
    (
        "trainability.json",
        "the same with the look-ahead (target 0.97)",
        lambda d: d["test"]["looks"]["probe with look-ahead"]["AUC"],
    ),
    (
        "trainability.json",
        "the same of check with the predicted signal (target 0.85)",
        lambda d: d["test"]["looks"]["check and signal"]["AUC"],
    ),
    (
        "trainability.json",
        "precision of errors of the probe with look-ahead (target 0.97)",
        lambda d: d["test"]["looks"]["probe with look-ahead"]["error level"]["precision"],
    ),
    (
        "trainability.json",
        "recall of faults of the initialization (target 0.9)",
        lambda d: d["test"]["looks"]["probe with look-ahead"]["error level, faults of the initialization"]["recall"],
    ),
    (
        "trainability.json",
        "false-positive rate beside it (target 0.05)",
        lambda d: d["test"]["looks"]["probe with look-ahead"]["error level"]["false-positive rate"],
    ),
    (
        "fixrate.json",
        "broken starts that some sound start mends, mended by fix (target 0.95)",
        lambda d: d["test"]["repair"]["share"],
    ),
    (
        "service.json",
        "p95 of service calls beside busy workers, ms (target 50)",
        lambda d: d["parts"]["calls"]["p95_ms"],
    ),
    (
        "sweep.json",
        "models checked by two Ray workers, times the speed of one (target 1.7)",
        lambda d: d["summary"]["times the speed"],
    ),
    ("capture.json", "torchvision models captured", lambda d: d["torchvision"]["summary"]["captured"]),
]
"""File, what was measured, where it stands; what a file does not hold is not shown."""


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
        lines.append(f"| {what} | {value} | {str(date)[:10]} | {_cell(machine)} | `{file}` |")
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


# --- the README as the first page


def readme_page(path: Path) -> str:
    """The README, with links into docs/ as links inside the site and other paths as plain names."""
    if not path.is_file():
        return ""

    def link(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        if target.startswith(("http:", "https:", "#")):
            return match[0]
        if target.startswith("docs/"):
            return f"[{text}]({target.removeprefix('docs/')})"
        known = {"README.md": "index.md", "README.ja.md": "ja.md"}
        return f"[{text}]({known[target]})" if target in known else f"`{target}`"

    text = re.sub(r"<!--.*?-->\n", "", path.read_text(encoding="utf-8"))
    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", link, text)


# --- mkdocs


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
