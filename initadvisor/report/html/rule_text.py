"""The page of a rule as HTML. A rule may come from a stranger's folder: no markup of its own, no images, web links."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from initadvisor.report.escape import visible
from initadvisor.rules.rule import HEADINGS, Rule

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MAX_TEXT = 20_000
"""Characters of one section that are shown."""


def rule_text(rule: Rule) -> Markup:
    """The sections of a rule's page under headings of level 4."""
    parts = []
    for heading in HEADINGS:
        text = _prose(rule.sections.get(heading, ""))
        if text:
            parts.append(Markup("<h4>{}</h4>").format(heading) + Markup(_markdown().render(text)))
    return Markup("").join(parts)


def inline(text: str) -> Markup:
    """One sentence of a rule's page: what stands between backticks is code."""
    parts = visible(text).split("`")
    if len(parts) % 2 == 0:
        return Markup(escape("`".join(parts)))
    shown = [Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)]
    return Markup("").join(shown)


def _prose(section: str) -> str:
    """A section without the examples that stand at the end of a rule file, and without characters that deceive."""
    text = section[:MAX_TEXT].partition("\n```python ")[0].strip()
    return "\n".join(visible(line) for line in text.splitlines())


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    # Comes with rich; read where a page is made only.
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False})
    made.disable(["image", "heading", "lheading"])
    made.validateLink = lambda url: url.startswith(("http://", "https://"))  # type: ignore[method-assign]
    return made
