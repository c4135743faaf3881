"""Rule file -> Rule, with errors that name the file and the line."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ValidationError

from initadvisor.errors import RuleError
from initadvisor.rules.markdown import CodeBlock, Page, RepeatedHeading, UnclosedFence, split
from initadvisor.rules.messages import MessageError, check_translation
from initadvisor.rules.rule import HEADINGS, Example, RemovedSettings, Rule, RuleSettings
from initadvisor.rules.suggest import did_you_mean

MAX_BYTES = 1 << 20
"""A rule file is a page of text: one beyond this size is not one."""

_TITLE = re.compile(r"^([A-Z][A-Z0-9]*?\d{3,})\s+`([a-z0-9]+(?:-[a-z0-9]+)*)`$")
_TOML_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")
_EXAMPLE = re.compile(r"^python\s+(bad|good)(?:\s+title=\"([^\"]*)\")?$")
_IDENTIFIER = re.compile(r"^[a-z][a-z0-9_]*$")


def parse(path: Path) -> Rule:
    """Read one rule file; raises RuleError where it cannot be used."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RuleError(f"{path}: a rule file of more than {MAX_BYTES} bytes is not read")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RuleError(f"cannot read the rule file {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RuleError(f"{path}: a rule file is UTF-8 text, and byte {error.start} is not") from error
    return parse_text(text, path)


def parse_text(text: str, path: Path) -> Rule:
    """Parse the text of a rule file; `path` is for messages, and its folder's name becomes the rule's category."""
    try:
        page = split(text)
    except (UnclosedFence, RepeatedHeading) as error:
        _fail(path, error.line, str(error), cause=error)
    title = _TITLE.match(page.title)
    if not title:
        _fail(path, page.title_line, f'the first heading must read "# IA101 `kebab-case-name`", not "# {page.title}"')
    rule_id, name = title[1], title[2]
    if not path.stem.startswith(rule_id):
        _fail(path, page.title_line, f"the file of rule {rule_id} must have a name that starts with {rule_id}")
    settings, lines = _settings(page, path)
    removed = isinstance(settings, RemovedSettings)
    if not removed:
        _check_sections(page, path)
    return Rule(
        id=rule_id,
        name=name,
        settings=settings,
        category=path.parent.name,
        path=path,
        text=text,
        sections=page.sections,
        examples=_examples(page, path),
        lines={"": page.title_line, **lines},
    )


def _settings(page: Page, path: Path) -> tuple[RuleSettings | RemovedSettings, Mapping[str, int]]:
    found = [block for block in page.blocks if block.info.split() == ["toml", "rule"]]
    if len(found) != 1:
        line = found[1].line - 1 if found else page.title_line
        _fail(path, line, f"a rule file has exactly one ```toml rule block; this one has {len(found)}")
    block = found[0]
    try:
        table = tomllib.loads(block.text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = block.line + int(place[1]) - 1 if place else block.line
        _fail(path, line, "TOML: " + _TOML_PLACE.sub("", str(error)).strip(), cause=error)
    lines = _key_lines(block)
    model: type[BaseModel] = RemovedSettings if table.get("status") == "removed" else RuleSettings
    try:
        settings = model.model_validate(table)
    except ValidationError as error:
        problem, key, hint = explain(error, model)
        _fail(path, lines.get(key, block.line), problem, hint=hint, cause=error)
    assert isinstance(settings, RuleSettings | RemovedSettings)
    if isinstance(settings, RuleSettings):
        for key, names in (("let", settings.let), ("p", settings.p)):
            for name in names:
                if not _IDENTIFIER.match(name):
                    _fail(path, lines.get(key, block.line), f'{key}: "{name}" is not a lower_case name')
        _check_translation(settings, path, lines.get("ja", block.line))
    return settings, lines


def _check_translation(settings: RuleSettings, path: Path, line: int) -> None:
    words = settings.ja
    if words is None:
        return
    hint = settings.fix.hint if settings.fix and settings.fix.hint else ""
    try:
        check_translation(words.message, settings.message)
        check_translation(words.hint, settings.message, hint)
    except MessageError as error:
        _fail(path, line, f"ja: {error}", hint=error.hint, cause=error)
    if words.hint and not hint:
        _fail(path, line, "ja: there is a hint, and none in English")


def explain(error: ValidationError, model: type[BaseModel]) -> tuple[str, str, str | None]:
    """The first problem of a validation: (what is wrong, the top-level key, a hint)."""
    first = error.errors(include_url=False, include_input=True)[0]
    location = [str(part) for part in first["loc"]]
    key = location[0] if location else ""
    place = ".".join(location)
    if first["type"] == "extra_forbidden":
        return f'unknown key "{place}"', key, did_you_mean(location[-1], _known_keys(model, location[:-1]))
    if first["type"] == "missing":
        return f'the key "{place}" is missing', key, None
    if first["type"] == "literal_error":
        expected = str(first.get("ctx", {}).get("expected", ""))
        words = re.findall(r"'([^']*)'", expected)
        return (
            f'{place}: "{first["input"]}" is not one of {", ".join(words)}',
            key,
            did_you_mean(str(first["input"]), words),
        )
    said = first["msg"].removeprefix("Value error, ")
    return f"{place if len(location) < 5 else '.'.join(location[:4])}: {said[:1].lower()}{said[1:]}", key, None


def _known_keys(model: type[BaseModel], location: list[str]) -> list[str]:
    names: Any = model
    for part in location:
        fields = {info.alias or name: info for name, info in names.model_fields.items()}
        if part not in fields:
            continue  # the name of a table or the place in a list, whose members `names` describes already
        kinds = _models(fields[part].annotation)
        if not kinds:
            return []
        names = kinds[0]
    return [info.alias or name for name, info in names.model_fields.items()]


def _models(annotation: Any) -> list[Any]:
    """The models that an annotation names, however deep."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]


def _key_lines(block: CodeBlock) -> dict[str, int]:
    lines: dict[str, int] = {}
    for offset, line in enumerate(block.text.splitlines()):
        key = re.match(r"\s*\[?([A-Za-z_-]+)(?:\.[\w.]+)?\s*[\]=]", line)
        if key:
            lines.setdefault(key[1], block.line + offset)
    return lines


def _check_sections(page: Page, path: Path) -> None:
    for heading in HEADINGS:
        if heading not in page.sections:
            near = did_you_mean(heading, page.sections)
            _fail(path, page.title_line, f'the section "## {heading}" is missing', hint=near)
        if not page.sections[heading]:
            _fail(path, page.section_lines[heading], f'the section "## {heading}" is empty')


def _examples(page: Page, path: Path) -> tuple[Example, ...]:
    examples = []
    for block in page.blocks:
        words = block.info.split()
        if words[:1] != ["python"] or words == ["python"]:
            continue
        match = _EXAMPLE.match(block.info)
        if not match:
            _fail(
                path,
                block.line - 1,
                f'an example opens with ```python bad or ```python good, then perhaps title="...", not ```{block.info}',
            )
        kind: Literal["bad", "good"] = "bad" if match[1] == "bad" else "good"
        examples.append(Example(kind, match[2] or "", block.line, block.text))
    return tuple(examples)


def _fail(path: Path, line: int, problem: str, *, hint: str | None = None, cause: Exception | None = None) -> NoReturn:
    raise RuleError(f"{path}:{line}: {problem}", hint=hint) from cause
