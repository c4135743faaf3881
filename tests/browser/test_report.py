"""The report in a real browser: it opens from disk, obeys its policy, and can be used by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initadvisor.report import Report, render
from tests.browser.chromium import new_page
from tests.report.html.reports import MARKUP, full
from tests.report.samples import finding, report, unreadable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE_NAME = MARKUP.replace("{{7*7}}", "") + "x" * 400 + "{}"

REPORTS: dict[str, list[Report]] = {
    "full": [full(24)],
    "hostile": [full(6, name=HOSTILE_NAME, target=MARKUP)],
    "clean": [report()],
    "unreadable": [unreadable()],
    "several": [full(9), report(), full(9, probed=False)],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    made = {}
    for name, reports in REPORTS.items():
        made[name] = folder / f"{name}.html"
        made[name].write_text(render(reports, "html", why={"IA101": "The signal fades."}), encoding="utf-8")
    return made


class Watched:
    """A page with what it asked for and complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    page = new_page(browser, viewport={"width": 1400, "height": 900})
    yield Watched(page)
    page.context.close()


@pytest.mark.parametrize("name", REPORTS)
def test_it_opens_from_disk_without_a_request_or_a_complaint(
    watched: Watched, files: dict[str, Path], name: str
) -> None:
    address = files[name].as_uri()
    watched.page.goto(address)
    assert watched.requests == [address]
    assert watched.complaints == []
    assert watched.page.locator(".verdict").first.is_visible()


def test_hostile_names_do_nothing_and_are_there_to_read(watched: Watched, files: dict[str, Path]) -> None:
    watched.page.goto(files["hostile"].as_uri())
    assert watched.page.title() != "owned"
    assert watched.page.locator("script").count() == 1
    assert watched.page.locator("img").count() == 0
    assert "<script>document.title='owned'</script>" in watched.page.locator("h1").inner_text()


def test_markup_that_got_in_all_the_same_could_do_nothing(watched: Watched, files: dict[str, Path]) -> None:
    watched.page.goto(files["full"].as_uri())
    watched.page.evaluate(
        """document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=\\"document.title='owned'\\">")
        const script = document.createElement("script"); script.textContent = "document.title='owned'"
        document.body.append(script)"""
    )
    watched.page.wait_for_timeout(100)
    assert watched.page.title() != "owned"
    assert any("Content Security Policy" in complaint for complaint in watched.complaints)


def cells(page: Page, column: int) -> list[str]:
    """The text of a column of the rows that are shown."""
    found: list[str] = page.evaluate(
        """(column) => [...document.querySelectorAll("table.layers tbody tr")].filter(row => !row.hidden)
        .map(row => row.cells[column].textContent.trim())""",
        column,
    )
    return found


def test_the_table_sorts_by_mouse(watched: Watched, files: dict[str, Path]) -> None:
    page = watched.page
    page.goto(files["full"].as_uri())
    head = page.locator("table.layers th", has_text="fan in")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    column = int(head.evaluate("head => head.cellIndex"))
    values = [float(text) for text in cells(page, column)]
    assert values == sorted(values)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in cells(page, column)] == sorted(values, reverse=True)
    names = page.locator("table.layers th", has_text="layer").first
    names.locator("button").click()
    assert cells(page, 1) == [f"blocks.{i}.fc" for i in range(24)], "numbers within names count as numbers"
    assert head.get_attribute("aria-sort") == "none"


def test_the_worst_layers_come_first_when_sorted_by_findings(watched: Watched, files: dict[str, Path]) -> None:
    page = watched.page
    page.goto(files["full"].as_uri())
    button = page.locator("table.layers th", has_text="findings").locator("button")
    button.click()
    button.click()
    shown = cells(page, int(button.evaluate("button => button.parentElement.cellIndex")))
    assert [text.split()[0] if text else "" for text in shown[:9]] == ["error"] * 3 + ["warning"] * 3 + ["info"] * 2 + [
        ""
    ]


def test_the_table_filters_and_says_how_many_rows_are_left(watched: Watched, files: dict[str, Path]) -> None:
    page = watched.page
    page.goto(files["full"].as_uri())
    page.get_by_label("Filter layers").fill("conv error")
    assert cells(page, 1) == ["blocks.9.fc"]
    assert page.get_by_role("status").inner_text() == "1 of 24 layers"
    page.get_by_label("Filter layers").fill("")
    assert len(cells(page, 1)) == 24
    assert page.get_by_role("status").inner_text() == "24 layers"


def test_everything_works_from_the_keyboard(watched: Watched, files: dict[str, Path]) -> None:
    page = watched.page
    page.goto(files["full"].as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "search":
            break
    page.keyboard.type("blocks.1")
    assert cells(page, 1) == ["blocks.1.fc", *(f"blocks.{i}.fc" for i in range(10, 20))]
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "fan in":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "what has the focus is seen"
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert cells(page, 1)[:2] == ["blocks.19.fc", "blocks.18.fc"]
    assert page.get_by_role("status").inner_text() == "11 of 24 layers, sorted by fan in, descending"


def test_details_unfold_from_the_keyboard(watched: Watched, files: dict[str, Path]) -> None:
    page = watched.page
    page.goto(files["full"].as_uri())
    summary = page.locator("summary", has_text="About IA101")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("Compares the gain of a layer").first.is_visible()


def test_the_command_can_be_copied(browser: Browser, files: dict[str, Path]) -> None:
    page = new_page(browser, permissions=["clipboard-read", "clipboard-write"])
    page.goto(files["full"].as_uri())
    page.locator(".command button").first.click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "initadvisor fix model.onnx --only-flagged"
    page.context.close()


def test_without_scripts_it_is_the_same_page_with_a_plain_table(browser: Browser, files: dict[str, Path]) -> None:
    page = new_page(browser, java_script_enabled=False)
    page.goto(files["full"].as_uri())
    assert page.locator("table.layers tbody tr").count() == 24
    assert page.locator("button:visible").count() == 0
    assert not page.get_by_label("Filter layers").is_visible()
    page.context.close()


def test_ten_thousand_layers_can_be_sorted_and_filtered(watched: Watched, tmp_path: Path) -> None:
    file = tmp_path / "large.html"
    many = [finding(name=f"layer{i}", message=f"std {i}") for i in range(10_000)]
    large = full(10_000)
    file.write_text(render([large.model_copy(update={"findings": (*large.findings, *many)})], "html"), encoding="utf-8")
    page = watched.page
    page.goto(file.as_uri())
    took: Any = page.evaluate(
        """() => { const start = performance.now()
        document.querySelector("table.layers th button").click()
        const field = document.querySelector("input[type=search]")
        field.value = "blocks.77"; field.dispatchEvent(new Event("input"))
        document.body.getBoundingClientRect()
        return performance.now() - start }"""
    )
    # A second is where a person's train of thought breaks (Nielsen 1993); the machine may be busy.
    assert took < 3000
    assert cells(page, 1)[0].startswith("blocks.77")


def test_printed_it_is_light_unfolded_and_without_controls(browser: Browser, files: dict[str, Path]) -> None:
    page = new_page(browser, color_scheme="dark")
    page.goto(files["full"].as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.get_by_text("Compares the gain of a layer").first.is_visible()
    assert not page.locator(".filter").is_visible()
    assert not page.locator(".copy").first.is_visible()
    assert page.pdf().startswith(b"%PDF")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert not page.get_by_text("Compares the gain of a layer").first.is_visible()
    page.context.close()
