"""One file that a browser opens from disk: no network, no code but its own, whatever the names in it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from initadvisor.report import svg
from initadvisor.report.escape import MAX_NAME, visible
from initadvisor.report.html.view import ReportView, view_of
from initadvisor.report.model import Report
from initadvisor.report.svg.palette import properties
from initadvisor.report.text import percent
from initadvisor.rules.rule import Rule

THEME = (
    f":root{{{properties(dark=False)}}}@media(prefers-color-scheme:dark){{:root{{{properties(dark=True)}}}}}"
    f"@media print{{:root{{{properties(dark=False)}}}}}"
)


def as_html(
    reports: Sequence[Report], rules: Mapping[str, Rule] | None = None, why: Mapping[str, str] | None = None
) -> str:
    """The page: each target with its verdict, findings, signal, layers, weights and flow.

    rules: by id, for the text of their pages; the packaged ones where None. why: rule id -> one sentence.
    The size is bounded whatever the reports hold; the page says what it leaves out.
    """
    if rules is None:
        from initadvisor.rules.discovery import discover

        rules = discover(packs=False).rules
    views = [view_of(report, index, len(reports), rules, why or {}) for index, report in enumerate(reports)]
    return _page(views)


def _page(views: Sequence[ReportView]) -> str:
    return (
        environment()
        .get_template("page.html")
        .render(reports=views, style=Markup(_style()), script=Markup(source("script.js")), policy=policy())
    )


@lru_cache(maxsize=1)
def policy() -> str:
    """The content security policy of the page, from its own sources and nothing that a report holds.

    Nothing may be fetched, framed or sent, and only this one style and this one script may apply: markup that got into
    the page all the same could do nothing.
    """
    return (
        f"default-src 'none'; style-src '{content_hash(_style())}'; script-src '{content_hash(source('script.js'))}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _style() -> str:
    return THEME + svg.STYLE + source("style.css")


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates; everything that is not marked as markup is escaped."""
    made = Environment(
        loader=PackageLoader("initadvisor.report.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"name": _name, "text": visible, "short": svg.short, "percent": percent}
    return made


def source(name: str) -> str:
    """A file beside the templates, as it is."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]


def _name(text: str) -> str:
    return visible(text, MAX_NAME)


def content_hash(text: str) -> str:
    """How a content security policy names a style or script in the page."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
