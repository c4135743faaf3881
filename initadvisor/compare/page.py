"""A comparison as one HTML page: no script, nothing from elsewhere, dark and light after the reader's preference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from initadvisor.compare import pictures
from initadvisor.compare.conclusion import goal, score
from initadvisor.compare.model import Comparison, InitResult
from initadvisor.report.escape import visible
from initadvisor.report.svg import STYLE, palette, sparkline

TEMPLATES = Path(__file__).parent / "templates"


def as_html(comparison: Comparison) -> str:
    """The whole page. Names of models, layers and files are escaped, and what steers a reader's eye is made visible."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible

    def plot(name: str, **options: Any) -> Markup:
        # Markup of our own making: every name in it is escaped where it is made.
        return Markup(getattr(pictures, name)(comparison, **options))

    # A first layer alone has no profile.
    deep = any(len(result.shown.start) > 1 for result in pictures.drawn(comparison) if result.shown)
    return environment.get_template("comparison.html").render(
        c=comparison,
        rows=[_row(result, comparison) for result in comparison.inits],
        plot=plot,
        deep=deep,
        ended=any(result.shown.end for result in pictures.drawn(comparison) if result.shown),
        dead=pictures.has_dead(comparison),
        histograms=[
            (when, [(r, [(cell, Markup(cell.picture)) for cell in cells]) for r, cells in found])
            for when, end in (("before", False), ("after", True))
            if (found := pictures.histograms(comparison, end=end))
        ],
        score_name=pictures.score_name(comparison),
        goal=goal(comparison.setup, comparison.data),
        plot_style=Markup(STYLE),
        light=Markup(palette.properties(dark=False)),
        dark=Markup(palette.properties(dark=True)),
    )


def _row(result: InitResult, comparison: Comparison) -> dict[str, Any]:
    from markupsafe import Markup

    run = result.shown
    curve = sparkline(run.curve.score, title=f"{result.name}: held-out score over steps") if run is not None else ""
    spread = "" if result.score_std is None else f" ± {100 * result.score_std:.1f}"
    if result.score_std is not None and comparison.data.task == "regression":
        spread = f" ± {result.score_std:.3f}"
    return {
        "result": result,
        "score": "–" if result.score is None else score(result.score, comparison.data) + spread,
        "curve": Markup(curve),
    }
