"""The report in a notebook: a fragment with its own styles and no script."""

from __future__ import annotations

from markupsafe import Markup

from initadvisor.report import svg
from initadvisor.report.html.figures import figures_of
from initadvisor.report.html.findings import groups_of
from initadvisor.report.html.marks import Marks
from initadvisor.report.html.page import environment, source
from initadvisor.report.html.view import verdict_sentence
from initadvisor.report.model import Report
from initadvisor.report.svg.palette import properties
from initadvisor.rules.rule import SEVERITIES

SHARE = 6
"""A fragment holds a sixth of what a page may."""

# Notebooks say in a class or an attribute what theme they are in, whatever the system prefers.
_DARK = (
    ".ia-note:where([data-jp-theme-light=false] *,.vscode-dark *,[theme=dark] *)"
    f"{{{properties(dark=True)}--ia-soft:#1c222b;--ia-line:#323b48}}"
)


def as_fragment(report: Report) -> str:
    """What `_repr_html_` gives: the verdict, the findings by rule, the curves over depth."""
    marks = Marks.of(report)
    groups, left_out = groups_of(report, "n", {}, {}, SHARE)
    style = f".ia-note{{{properties(dark=False)}}}{source('notebook.css')}{_DARK}{svg.STYLE}"
    return (
        environment()
        .get_template("notebook.html")
        .render(
            report=report,
            style=Markup(style),
            verdict=verdict_sentence(report, marks),
            counts=[(severity, getattr(report.summary, severity)) for severity in SEVERITIES],
            groups=groups,
            left_out=left_out,
            figures=figures_of(report)[:3],
        )
    )
