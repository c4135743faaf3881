"""Elements of SVG as text. Every name, label and value is escaped here and nowhere else."""

from __future__ import annotations

from html import escape
from typing import Final

from initadvisor.report.escape import visible, width
from initadvisor.report.svg.numbers import place

EM: Final = 0.56
"""Width of a narrow character as a share of the font size, on average over system fonts."""


def element(tag: str, /, *children: str, **attributes: str | float | None) -> str:
    """`<tag a="b">children</tag>`. children: markup. `_` in an attribute's name stands for `-`; None leaves it out."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    body = "".join(children)
    return f"<{tag}{given}>{body}</{tag}>" if body else f"<{tag}{given}/>"


def words(text: str, limit: int | None = None) -> str:
    """Text that is safe between tags and in attributes, and holds nothing that XML forbids; a long one is elided."""
    return escape(visible(text, limit))


def label(text: str, x: float, y: float, *, size: float = 12, anchor: str = "start", css: str = "ia-text") -> str:
    """A piece of text at a place; `text` is plain."""
    return element("text", words(text), x=x, y=y, class_=css, font_size=size, text_anchor=anchor, fill="currentColor")


def measure(text: str, size: float = 12) -> float:
    """About how many pixels wide a text is."""
    return width(visible(text)) * EM * size


def fitted(text: str, pixels: float, size: float = 12) -> str:
    """The text, its middle left out where it would be wider than `pixels`."""
    return visible(text, max(4, int(pixels / (EM * size))))


def _value(value: str | float) -> str:
    return escape(visible(value)) if isinstance(value, str) else place(value)
