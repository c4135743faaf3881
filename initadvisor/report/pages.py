"""Markdown pages on a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence

from initadvisor.report.escape import visible


def as_pages(pages: Sequence[str], *, columns: int, color: bool) -> str:
    """Render Markdown with rich, without colour where that is off; control characters are made visible first."""
    from rich.console import Console
    from rich.markdown import Markdown

    buffer = io.StringIO()
    console = Console(
        file=buffer, width=columns, force_terminal=color, no_color=not color, color_system="standard" if color else None
    )
    for page in pages:
        text = "\n".join(visible(line.replace("\t", "    ")) for line in page.splitlines())
        console.print(Markdown(text, hyperlinks=False))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"
