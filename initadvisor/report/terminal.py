"""Colour and line filling for text reports, aware of wide characters and of output that is no terminal."""

from __future__ import annotations

import os
import re
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
    """Break text at spaces into lines of at most `limit` columns; words that are longer break where they must."""
    room = max(8, limit - max(width(first), width(rest)))
    lines, line = [], ""
    for word in _words(text, room):
        if line and width(line) + 1 + width(word) > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return [(rest if number else first) + line for number, line in enumerate(lines)]


def _words(text: str, room: int) -> list[str]:
    words = []
    for word in re.split(r" +", text.strip()):
        while width(word) > room:
            cut = room
            while width(word[:cut]) > room:
                cut -= 1
            words.append(word[:cut])
            word = word[cut:]
        words.append(word)
    return words
