"""The README as the first page."""

from __future__ import annotations

import re
from pathlib import Path


def readme_page(path: Path) -> str:
    """The README, with links into docs/ as links inside the site and other paths as plain names."""
    if not path.is_file():
        return ""

    def link(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        if target.startswith(("http:", "https:", "#")):
            return match[0]
        if target.startswith("docs/"):
            return f"[{text}]({target.removeprefix('docs/')})"
        known = {"README.md": "index.md", "README.ja.md": "ja.md"}
        return f"[{text}]({known[target]})" if target in known else f"`{target}`"

    text = re.sub(r"<!--.*?-->\n", "", path.read_text(encoding="utf-8"))
    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", link, text)
