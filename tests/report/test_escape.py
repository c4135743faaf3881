"""Hostile names cannot steer a terminal, forge a line or hide."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initadvisor.report.escape import visible, width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("layer1.0.conv1", "layer1.0.conv1"),
        ("畳み込み 层 слой é", "畳み込み 层 слой é"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\r\nb\tc\x7f", "a\\x0d\\x0ab\\x09c\\x7f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("a\u2028b\x85", "a\\u2028b\\x85"),
        ("\U000e0041", "\\U000e0041"),
        ("\udc80", "\\udc80"),
    ],
)
def test_what_is_shown(text: str, expected: str) -> None:
    assert visible(text) == expected


@given(st.text(alphabet=st.characters(categories=None)))
def test_nothing_invisible_is_left(text: str) -> None:
    shown = visible(text)
    assert not any(unicodedata.category(c).startswith("C") or unicodedata.category(c) in ("Zl", "Zp") for c in shown)
    assert len(shown.splitlines()) <= 1


def test_long_names_lose_their_middle() -> None:
    shown = visible("a" * 500 + "b" * 500, 100)
    assert len(shown) <= 100
    assert shown.startswith("aaa")
    assert shown.endswith("bbb")
    assert "..." in shown


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("重み", 4), ("e\u0301", 1), ("", 0)])
def test_width_in_columns(text: str, columns: int) -> None:
    assert width(text) == columns
