"""Take a rule file apart: heading, fenced code blocks, and sections of prose, each with its line number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_FENCE = re.compile(r"^(`{3,}|~{3,})(.*)$")


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block: `info` is what follows the opening fence, `line` the 1-based number of its first content line."""

    info: str
    line: int
    text: str


@dataclass(slots=True)
class Page:
    """A Markdown file in its parts. `sections` maps a level-2 heading to its prose and code, as written."""

    title: str = ""
    title_line: int = 1
    blocks: list[CodeBlock] = field(default_factory=list)
    sections: dict[str, str] = field(default_factory=dict)
    section_lines: dict[str, int] = field(default_factory=dict)


class UnclosedFence(ValueError):
    """A fenced block has no closing fence; `line` is where it opens."""

    def __init__(self, line: int) -> None:
        super().__init__(f"the fenced block that opens on line {line} is never closed")
        self.line = line


class RepeatedHeading(ValueError):
    """Two level-2 headings have one name; `line` is that of the second."""

    def __init__(self, line: int, heading: str) -> None:
        super().__init__(f'heading "## {heading}" appears twice')
        self.line = line


def split(text: str) -> Page:
    """Split Markdown text; raises UnclosedFence or RepeatedHeading."""
    page = Page()
    heading: str | None = None
    prose: dict[str, list[str]] = {}
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        fence = _FENCE.match(line)
        taken = [line]
        if fence:
            start = number
            content, number = _fenced(lines, number, fence[1])
            page.blocks.append(CodeBlock(fence[2].strip(), start + 1, content))
            taken = lines[start - 1 : number]
        elif line.startswith("# ") and not page.title:
            page.title, page.title_line = line[2:].strip(), number
            continue
        elif line.startswith("## "):
            heading = line[3:].strip()
            if heading in prose:
                raise RepeatedHeading(number, heading)
            prose[heading] = []
            page.section_lines[heading] = number
            continue
        if heading is not None:
            prose[heading] += taken
    page.sections = {name: "\n".join(body).strip() for name, body in prose.items()}
    return page


def _fenced(lines: list[str], start: int, fence: str) -> tuple[str, int]:
    for end in range(start, len(lines)):
        closing = lines[end].rstrip()
        if len(closing) >= len(fence) and set(closing) == {fence[0]}:
            return "\n".join(lines[start:end]) + "\n", end + 1
    raise UnclosedFence(start)
