"""Colour and line filling for text reports, aware of wide characters and of output that is no terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Literal, TextIO

from initadvisor.report.escape import width

Style = Literal["error", "warning", "info", "good", "dim", "strong"]

_CODES: dict[Style, str] = {
    "error": "1;31",
    "warning": "1;33",
    "info": "1;34",
    "good": "1;32",
    "dim": "2",
    "strong": "1",
}
MIN_COLUMNS, MAX_COLUMNS = 20, 110


def wants_color(stream: TextIO) -> bool:
    """Whether to send colour: only to a terminal, and not where NO_COLOR is set (no-color.org) or TERM is dumb."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person is looking; False for a closed stream."""
    try:
        return stream.isatty()
    except (ValueError, AttributeError):
        return False


def holds(stream: TextIO, characters: str) -> bool:
    """Whether the encoding of a stream has these characters."""
    try:
        characters.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def columns(stream: TextIO) -> int:
    """The width to fill, in columns: that of the terminal within bounds, COLUMNS if set, else 100."""
    given = os.environ.get("COLUMNS", "")
    found = int(given) if given.isdecimal() and len(given) < 6 else 0
    if not found and is_terminal(stream):
        try:
            found = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):
            found = 0
    return max(MIN_COLUMNS, min(found or 100, MAX_COLUMNS))


def paint(text: str, style: Style, color: bool) -> str:
    """The text in a style, or as it is where colour is off."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if color and text else text


def fill(text: str, limit: int, *, first: str = "", rest: str = "") -> list[str]:
    """Break text into lines of at most `limit` columns: at spaces, between East Asian characters, else after a "."."""
    start, later = max(8, limit - width(first)), max(8, limit - width(rest))
    lines, line, room = [], "", start
    for gap, piece in _pieces(text):
        if line and width(line) + len(gap) + width(piece) > room:
            lines.append(line)
            line, gap, room = "", "", later
        line += (gap if line else "") + piece
        while width(line) > room:
            cut = _cut(line, room)
            lines.append(line[:cut])
            line, room = line[cut:], later
    lines.append(line)
    return [(rest if number else first) + line for number, line in enumerate(lines)]


_NEVER_FIRST = "、。，．・：；？！）」』】〉》〕］｝ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々〜％"
_NEVER_LAST = "（「『【〈《〔［｛"
"""Characters that Japanese typesetting keeps off the start and the end of a line (kinsoku shori)."""


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """What must stay on one line, with the space before it: words, and single East Asian characters."""
    for number, word in enumerate(re.split(r" +", text.strip())):
        gap = " " if number else ""
        if word.isascii():
            yield gap, word
            continue
        piece = ""
        for character in word:
            if piece and _may_break(piece[-1], character):
                yield gap, piece
                gap, piece = "", ""
            piece += character
        yield gap, piece


def _may_break(before: str, after: str) -> bool:
    if after in _NEVER_FIRST or before in _NEVER_LAST or width(after) == 0:
        return False
    return width(before) == 2 or width(after) == 2


def _cut(line: str, room: int) -> int:
    """Where to cut a word that is longer than a line: behind a separator in its second half, else where it must."""
    cut = room
    while width(line[:cut]) > room:
        cut -= 1
    for place in range(cut, cut // 2, -1):
        if line[place - 1] in "./_-,;:":
            return place
    return cut
