"""The fenced blocks of the pages that people read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(match[1], match[2]) for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def commands(page: Path) -> Iterator[str]:
    """Every shell command of a page, one a line, continued lines joined."""
    for block in blocks(page):
        if block.language in ("sh", "bash", "console", "shell"):
            yield from (line.strip() for line in block.text.replace("\\\n", " ").splitlines() if bare(line))


def bare(line: str) -> list[str]:
    """The words of a command line without its comment."""
    return shlex.split(line, comments=True)
