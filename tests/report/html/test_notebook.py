"""The fragment for notebooks: no script, styles that reach nothing else, bounded."""

from __future__ import annotations

import re

import html5lib

from tests.report.html.reports import MARKUP, full
from tests.report.samples import finding, report, unreadable


def test_the_fragment_is_valid_and_has_no_script() -> None:
    for made in (full(), report(), unreadable(), full(name="{}" + MARKUP.replace("{{7*7}}", ""), target=MARKUP)):
        fragment = made._repr_html_()
        parser = html5lib.HTMLParser(namespaceHTMLElements=False)
        tree = parser.parseFragment(fragment)
        assert not parser.errors, parser.errors[:3]
        assert not list(tree.iter("script"))
        assert not list(tree.iter("img"))
        assert [child.tag for child in tree] == ["div"]


def test_its_styles_reach_nothing_outside_of_it() -> None:
    [style] = re.findall(r"<style>(.*?)</style>", full()._repr_html_(), re.S)
    flat = re.sub(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)\s*\}", r"\1", style)
    for selectors in re.findall(r"([^{}]+)\{[^{}]*\}", flat):
        for selector in re.sub(r"\([^)]*\)", "", selectors).split(","):
            assert selector.strip().startswith((".ia-note", ".ia-svg")), selector


def test_it_is_small_whatever_the_report_holds() -> None:
    many = report(*(finding(name=f"layer{i}", message=f"std {i}") for i in range(10_000)))
    assert len(many._repr_html_()) < 100_000
    assert len(full(10_000)._repr_html_()) < 200_000
