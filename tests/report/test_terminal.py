"""Lines are filled to the width of the screen, and colour is sent only where it is wanted."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initadvisor.report.escape import width
from initadvisor.report.terminal import columns, fill, paint, wants_color


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(
    st.text(alphabet="ab 重み.", max_size=200),
    st.integers(20, 60),
    st.sampled_from(["", "  ", "  Why: "]),
)
def test_lines_fit_and_no_word_is_lost(text: str, limit: int, first: str) -> None:
    lines = fill(text, limit, first=first, rest=" " * len(first))
    assert all(width(line) <= limit for line in lines)
    assert "".join("".join(lines).split()) == "".join((first + text).split())


def test_color_goes_to_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_color(Terminal())
    assert not wants_color(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_color(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color(Terminal())


def test_paint() -> None:
    assert paint("x", "error", True) == "\x1b[1;31mx\x1b[0m"
    assert paint("x", "error", False) == paint("x", "dim", False) == "x"


@pytest.mark.parametrize(
    ("given", "expected"), [("40", 40), ("5", 20), ("500", 110), ("wide", 100), ("", 100), ("9" * 50, 100)]
)
def test_the_width_is_bounded(monkeypatch: pytest.MonkeyPatch, given: str, expected: int) -> None:
    monkeypatch.setenv("COLUMNS", given)
    assert columns(io.StringIO()) == expected
