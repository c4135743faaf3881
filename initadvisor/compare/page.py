"""A comparison as one HTML page in the clothes of the report: no script, nothing from elsewhere, dark and light."""

from __future__ import annotations

from typing import Any

from initadvisor.compare import pictures
from initadvisor.compare.conclusion import goal, headline, score
from initadvisor.compare.model import Comparison, InitResult
from initadvisor.report import svg
from initadvisor.report.escape import visible


def as_html(comparison: Comparison) -> str:
    """The whole page. Names of models, layers and files are escaped, and what deceives a reader is made visible."""
    from jinja2 import PackageLoader
    from markupsafe import Markup

    from initadvisor.report.html.page import THEME, content_hash, environment, source

    templates = environment().overlay(loader=PackageLoader("initadvisor.compare", "templates"))
    assert templates.loader is not None
    own = templates.loader.get_source(templates, "comparison.css")[0]
    style = THEME + svg.STYLE + source("style.css") + own

    def plot(name: str, **options: Any) -> Markup:
        # Markup of our own making: every name in it is escaped where it is made.
        return Markup(getattr(pictures, name)(comparison, **options))

    shown = [result.shown for result in pictures.drawn(comparison) if result.shown is not None]
    return templates.get_template("comparison.html").render(
        c=comparison,
        headline=visible(headline(comparison.inits, comparison.setup, comparison.data)),
        rows=[_row(result, comparison) for result in comparison.inits],
        plot=plot,
        deep=any(len(run.start) > 1 for run in shown),
        ended=any(len(run.end) > 1 for run in shown),
        dead=pictures.has_dead(comparison),
        before=_sheet(comparison, end=False),
        after=_sheet(comparison, end=True),
        score_name=pictures.score_name(comparison),
        goal=goal(comparison.setup, comparison.data),
        style=Markup(style),
        policy=f"default-src 'none'; style-src '{content_hash(style)}'; base-uri 'none'; form-action 'none'",
    )


def _sheet(comparison: Comparison, end: bool) -> list[tuple[InitResult, list[tuple[pictures.Cell, Any]]]]:
    from markupsafe import Markup

    found = pictures.histograms(comparison, end=end)
    return [(result, [(cell, Markup(cell.picture)) for cell in cells]) for result, cells in found]


def _row(result: InitResult, comparison: Comparison) -> dict[str, Any]:
    from markupsafe import Markup

    run = result.shown
    title = f"{result.name}: held-out score over steps"
    curve = svg.sparkline(run.curve.score, title=title) if run is not None else ""
    spread = ""
    if result.score_std is not None:
        regression = comparison.data.task == "regression"
        spread = f" ± {result.score_std:.3f}" if regression else f" ± {100 * result.score_std:.1f}"
    value = "–" if result.score is None else score(result.score, comparison.data) + spread
    return {"result": result, "score": value, "curve": Markup(curve)}
