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


def test_long_names_break_behind_a_separator() -> None:
    assert fill("backbone.layers.12.self_attention.output.dense", 24) == [
        "backbone.layers.12.self_",
        "attention.output.dense",
    ]


@pytest.mark.parametrize("limit", range(20, 40))
def test_japanese_breaks_between_characters_but_not_before_a_full_stop(limit: int) -> None:
    text = "順伝播の信号が消失しています。「勾配」も同様です、重みを初期化し直してください(ゲイン 1.41)。" * 2
    lines = fill(text, limit)
    assert all(width(line) <= limit for line in lines)
    assert not any(line.startswith(("。", "、", "」", "ー")) for line in lines)
    assert not any(line.endswith("「") for line in lines)
    # Lines are full: no run of text without spaces is pushed to the next line as a whole.
    assert all(width(line) >= limit - 8 for line in lines[:-1])
