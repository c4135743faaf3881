"""Names from a model are hostile text: make what would steer a terminal or deceive a reader visible."""

from __future__ import annotations

import unicodedata

MAX_NAME = 200
"""Characters of one name that a text report shows; the middle of a longer one is left out."""

MAX_MESSAGE = 1_000
"""Characters of one message that the formats of forges carry: code scanning shows no more of one."""


def visible(text: str, limit: int | None = None) -> str:
    r"""The text with control, format, bidirectional and unassigned characters as escapes such as \x1b or \u202e."""
    if not text.isascii() or not text.isprintable():
        text = "".join(_visible(character) for character in text)
    if limit is not None and len(text) > limit:
        half = (limit - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return text


def _visible(character: str) -> str:
    # Cc and Cf hold terminal controls, bidi overrides and zero-width characters; Zl and Zp break lines.
    if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """The number of terminal columns that the text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
