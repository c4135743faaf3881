"""Rule files are taken apart with the right line numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initadvisor.rules.markdown import RepeatedHeading, UnclosedFence, split


def test_blocks_and_sections_carry_their_lines() -> None:
    page = split(
        "# T001 `name`\n\n```toml rule\na = 1\nb = 2\n```\n\n## One\n\ntext\n\n```python bad\nx\n```\n\n## Two\nmore\n"
    )
    assert page.title == "T001 `name`"
    assert [(block.info, block.line, block.text) for block in page.blocks] == [
        ("toml rule", 4, "a = 1\nb = 2\n"),
        ("python bad", 13, "x\n"),
    ]
    assert page.sections == {"One": "text\n\n```python bad\nx\n```", "Two": "more"}
    assert page.section_lines == {"One": 8, "Two": 16}


def test_headings_inside_a_fence_are_code() -> None:
    page = split("# T\n\n```python good\n# comment\n## not a heading\n```\n")
    assert page.sections == {}
    assert page.blocks[0].text == "# comment\n## not a heading\n"


def test_a_longer_fence_holds_a_shorter_one() -> None:
    page = split("````text\n```python bad\nx\n```\n````\n")
    assert [block.info for block in page.blocks] == ["text"]


@pytest.mark.parametrize(("text", "line"), [("a\n```python\nx\n", 2), ("```\n````\n~~~\n", None)])
def test_an_open_fence_is_named_by_its_line(text: str, line: int | None) -> None:
    if line is None:
        # A closing fence may be longer than the opening one; the tilde fence after it stays open.
        line = 3
    with pytest.raises(UnclosedFence) as caught:
        split(text)
    assert caught.value.line == line


def test_a_heading_twice_is_refused() -> None:
    with pytest.raises(RepeatedHeading) as caught:
        split("# T\n## One\na\n## One\nb\n")
    assert caught.value.line == 4


@given(st.text(alphabet="#`~ abc\n", max_size=200))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        page = split(text)
    except (UnclosedFence, RepeatedHeading):
        return
    lines = text.splitlines()
    for block in page.blocks:
        inside = block.text.splitlines()
        assert lines[block.line - 1 : block.line - 1 + len(inside)] == inside
