"""How the report is laid out: nothing overlaps or leaves the page at any width; dark and light; accessible."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initadvisor.report import render
from tests.browser.chromium import new_page
from tests.browser.test_report import HOSTILE_NAME, REPORTS
from tests.report.html.reports import MARKUP, full

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_LONG = pytest.mark.long
WIDTHS = (360, pytest.param(800, marks=_LONG), 1400)
SHOWN = ["full", "hostile", *(pytest.param(name, marks=_LONG) for name in REPORTS if name not in ("full", "hostile"))]

OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll(
    "h1, h2, h3, .verdict, .fact, .finding, .finding > *, .said > li, figure, figcaption, figure > svg, .filter > *, " +
    ".scroll, .model, .op > *, .block > details > summary > *, .more, .lead, summary, tbody td, tbody th, thead th")]
    .filter(element => element.checkVisibility() && !element.closest("details:not([open]) > :not(summary)"))
    .map(element => ({element, box: element.getBoundingClientRect()}))
    .filter(({box}) => box.width > 0 && box.height > 0)
  const found = []
  boxes.sort((a, b) => a.box.top - b.box.top)
  for (let i = 0; i < boxes.length; i++)
    for (let j = i + 1; j < boxes.length && boxes[j].box.top < boxes[i].box.bottom - 1; j++) {
      const [a, b] = [boxes[i], boxes[j]]
      if (a.element.contains(b.element) || b.element.contains(a.element)) continue
      // Both within one area that scrolls, or neither: what lies outside of such an area is not seen there.
      if (a.element.closest(".scroll") !== b.element.closest(".scroll")) continue
      if (a.box.left < b.box.right - 1 && b.box.left < a.box.right - 1)
        found.push(a.element.outerHTML.slice(0, 120) + " / " + b.element.outerHTML.slice(0, 120))
    }
  return found
}"""

OUTSIDE = """() => [...document.querySelectorAll("body *")].filter(element => {
    const box = element.getBoundingClientRect()
    return element.checkVisibility() && !element.closest(".scroll, .word, .skip") && box.width > 0 &&
      (box.right > innerWidth + 1 || box.left < -1)
  }).map(element => element.outerHTML.slice(0, 160))"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("layouts")
    made = {}
    for name, reports in REPORTS.items():
        made[name] = folder / f"{name}.html"
        made[name].write_text(render(reports, "html", why={"IA101": "The signal fades."}), encoding="utf-8")
    return made


def unfold(page: Page) -> None:
    """Open everything that folds."""
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("unfolded", [False, True])
def test_nothing_overlaps_or_leaves_the_page(
    browser: Browser, files: dict[str, Path], name: str, width: int, unfolded: bool
) -> None:
    page = new_page(browser, viewport={"width": width, "height": 800})
    page.goto(files[name].as_uri())
    if unfolded:
        unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(OVERLAPS) == []
    page.context.close()


def _brightness(colour: str) -> float:
    parts = [float(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    return sum(parts) / 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_readers_theme(browser: Browser, files: dict[str, Path], scheme: Any) -> None:
    page = new_page(browser, color_scheme=scheme)
    page.goto(files["full"].as_uri())
    paper = _brightness(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    ink = _brightness(page.evaluate("getComputedStyle(document.body).color"))
    line = _brightness(page.evaluate("getComputedStyle(document.querySelector('.ia-l1')).stroke"))
    label = _brightness(page.evaluate("getComputedStyle(document.querySelector('.ia-text')).fill"))
    assert (
        (paper > 240 and ink < 60 and label < 60) if scheme == "light" else (paper < 40 and ink > 200 and label > 200)
    )
    assert abs(line - paper) > 80
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", SHOWN)
def test_an_accessibility_checker_finds_nothing_serious(
    browser: Browser, files: dict[str, Path], name: str, scheme: Any
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = new_page(browser, color_scheme=scheme)
    page.goto(files[name].as_uri())
    unfold(page)
    found = Axe().run(page).response["violations"]
    grave = [
        (v["id"], v["impact"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")
    ]
    assert grave == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_notebook_shows_the_fragment_and_nothing_of_its_own_changes(
    browser: Browser, tmp_path: Path, scheme: Any
) -> None:
    file = tmp_path / "notebook.html"
    own = "<style>body{margin:40px}</style><p id=own>a cell</p><details id=other><summary>s</summary>t</details>"
    page = new_page(browser, viewport={"width": 800, "height": 900}, color_scheme=scheme)

    def look() -> Any:
        return page.evaluate(
            """() => ["own", "other"].map(id => { const s = getComputedStyle(document.getElementById(id))
            return [s.margin, s.padding, s.font, s.color, s.border] })"""
        )

    file.write_text(own)
    page.goto(file.as_uri())
    before = look()
    fragments = full(12)._repr_html_() + full(3, name=HOSTILE_NAME, target=MARKUP)._repr_html_()
    file.write_text(own + fragments, encoding="utf-8")
    page.goto(file.as_uri())
    assert look() == before
    assert page.title() != "owned"
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    paper = _brightness(page.evaluate("getComputedStyle(document.querySelector('.ia-note')).backgroundColor"))
    assert paper > 240 if scheme == "light" else paper < 40
    page.context.close()
