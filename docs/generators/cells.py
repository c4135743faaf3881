"""Text inside the tables of a page."""

from __future__ import annotations


def cell(text: str) -> str:
    """Text inside a table, where a bar would end the cell and angle brackets would be markup."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
