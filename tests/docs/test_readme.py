"""The README in two languages: the same headings, the same code, the same links."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.blocks import ROOT, Block, blocks

ENGLISH, JAPANESE = ROOT / "README.md", ROOT / "README.ja.md"


def _code(page: Path) -> list[Block]:
    """The blocks without comments, which are translated; samples of output are, too."""
    kept = [block for block in blocks(page) if block.language != "text"]
    return [Block(b.language, re.sub(r" *#.*", "", b.text)) for b in kept]


def _levels(page: Path) -> list[int]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [len(match) for match in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]


def _links(page: Path) -> set[str]:
    return set(re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))) - {"README.md", "README.ja.md"}


def test_both_have_the_same_code() -> None:
    assert _code(ENGLISH) == _code(JAPANESE)
    assert len(_code(ENGLISH)) >= 4


def test_both_have_the_same_headings_and_links() -> None:
    assert _levels(ENGLISH) == _levels(JAPANESE)
    assert _links(ENGLISH) == _links(JAPANESE)


def test_they_name_each_other() -> None:
    assert "](README.ja.md)" in ENGLISH.read_text(encoding="utf-8")
    assert "](README.md)" in JAPANESE.read_text(encoding="utf-8")


def test_every_link_leads_somewhere() -> None:
    for page in (ENGLISH, JAPANESE):
        for link in _links(page):
            assert link.startswith("http") or (ROOT / link.partition("#")[0]).exists(), f"{page.name}: {link}"


def test_the_marked_commands_are_where_the_continuous_integration_looks() -> None:
    for page in (ENGLISH, JAPANESE):
        text = page.read_text(encoding="utf-8")
        for name in ("main", "tests"):
            assert f"<!-- command: {name} -->\n```sh\npython3 -m venv .venv && " in text


def test_the_formats_and_keys_are_all_named() -> None:
    from initadvisor.cli.formats import FORMATS
    from initadvisor.cli.language import LANGUAGES

    for page in (ENGLISH, JAPANESE):
        text = page.read_text(encoding="utf-8")
        assert all(f"`{name}`" in text for name in FORMATS)
        assert f"--lang {LANGUAGES[1]}" in text
