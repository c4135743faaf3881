"""The page in a real browser: a file is dropped, followed, read, compared, found; and nothing inline ever runs."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.browser.chromium import launched
from tests.integration.light_graphs import filled
from tests.service import models
from tests.service.running import ServerHere, ended, give

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TOKEN = "a-token-for-the-browser"
PATIENCE = 90_000
"""Milliseconds that a step may take: browsers are slow on a machine that is busy otherwise."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerHere]:
    """A server with a token."""
    server = ServerHere(tmp_path_factory.mktemp("site") / "data", max_upload=8 << 20, tokens=(TOKEN,)).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def runs(site: ServerHere) -> list[str]:
    """Three checks of one model, the second of them with weights far too small."""
    ids = []
    with site.client() as client:
        for seed, (scale, commit) in enumerate(((1.0, "a1b2c3"), (0.3, "b4c5d6"), (1.0, "c7d8e9"))):
            model = filled("light_squeezenet", seed)
            for tensor in model.graph.initializer:
                array = numpy_helper.to_array(tensor)
                if array.ndim == 4:
                    tensor.CopyFrom(numpy_helper.from_array((array * scale).astype(np.float32), tensor.name))
            content = model.SerializeToString()
            check = give(client, content, model="squeeze", commit=commit, file="squeeze.onnx")
            ids.append(ended(client, check["id"])["id"])
    return ids


@pytest.fixture
def expected() -> list[str]:
    """Parts of what a test brings up on purpose in the console of its page."""
    return ["415"]  # a refusal is in the console, as browsers do it


@pytest.fixture
def page(browser: Browser, site: ServerHere, expected: list[str]) -> Iterator[Page]:
    """A page of somebody who has logged in; no error may come up in it that the test does not expect."""
    context = browser.new_context(base_url=site.url)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.goto("/login")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.url}/")
    yield page
    context.close()
    assert not [text for text in complaints if not any(part in text for part in expected)]


def test_a_browser_without_the_token_is_led_to_the_door(browser: Browser, site: ServerHere) -> None:
    context = browser.new_context(base_url=site.url)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/history?model=x")
    assert page.url == f"{site.url}/login?next=/history"
    page.get_by_label("Token").fill("not the token at all")
    page.get_by_role("button", name="Log in").click()
    assert page.get_by_role("alert").is_visible()
    assert not context.cookies()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.url}/history")
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert TOKEN not in cookie["value"]
    page.goto("/")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{site.url}/login")
    assert not context.cookies()
    context.close()


@pytest.mark.parametrize(
    "following", ["//evil.example/", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_door_leads_nowhere_else(site: ServerHere, following: str) -> None:
    answer = httpx.post(f"{site.url}/login", data={"token": TOKEN, "next": following})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@contextmanager
def _held(site: ServerHere) -> Iterator[None]:
    """Workers are not started within: what a page shows meanwhile does not depend on how fast the machine is."""
    (nursery,) = site.nurseries()
    os.kill(nursery, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(nursery, signal.SIGCONT)


@pytest.mark.long
def test_a_chosen_file_is_sent_followed_and_shown(page: Page, site: ServerHere, tmp_path: Path) -> None:
    file = tmp_path / "deep model.onnx"
    file.write_bytes(models.marked("chosen"))
    page.get_by_label("Drop a model here, or choose one").set_input_files(file)
    page.get_by_label("Model", exact=True).fill("chosen")
    page.get_by_label("Commit").fill("1234567")
    with _held(site):
        page.get_by_role("button", name="Check", exact=True).click()
        page.wait_for_url("**/checks/*")
        page.get_by_text("Being checked").wait_for()
    page.get_by_role("link", name="Full report").wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == "chosen at 1234567"
    assert "deep_model.onnx" in page.inner_text("dl")


def test_a_dropped_file_is_sent(page: Page) -> None:
    packed = base64.b64encode(models.marked("dropped")).decode()
    data = page.evaluate_handle(
        """packed => {
            const bytes = Uint8Array.from(atob(packed), c => c.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "dropped.onnx"));
            return data;
        }""",
        packed,
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})
    page.wait_for_url("**/checks/*")
    page.get_by_text("Nothing found.").wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == "dropped"


@pytest.mark.long
def test_a_refusal_is_said(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "large.onnx"
    file.write_bytes(bytes(9 << 20))
    page.get_by_label("Drop a model here, or choose one").set_input_files(file)
    page.get_by_role("button", name="Check", exact=True).click()
    page.get_by_text("Not accepted: this file is larger than the service takes").wait_for()
    file.with_name("code.pt").write_bytes(b"x")
    page.get_by_label("Drop a model here, or choose one").set_input_files(file.with_name("code.pt"))
    with page.expect_response("**/v1/checks*") as answer:
        page.get_by_role("button", name="Check", exact=True).click()
    assert answer.value.status == 415
    page.get_by_text("what can carry code is not taken").wait_for()
    assert page.get_by_role("button", name="Check", exact=True).is_enabled()


@pytest.mark.long
def test_a_running_check_is_cancelled(page: Page, site: ServerHere) -> None:
    with _held(site), site.client() as client:
        check = give(client)
        page.goto(f"/checks/{check['id']}")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_text("This check was cancelled.").wait_for()


@pytest.mark.long
def test_the_history_of_a_model_has_its_curves(page: Page, runs: list[str]) -> None:
    page.goto(f"/checks/{runs[1]}")
    page.get_by_role("link", name="History of squeeze").click()
    plots = page.locator("svg[role=img]")
    assert plots.count() >= 2
    assert "errors: 3 values" in (plots.first.text_content() or "")
    assert page.locator("tbody tr").count() == 3
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(f"**/compare?a={runs[1]}&b={runs[2]}")
    assert "IA103" in page.locator("#gone").inner_text()
    assert "IA103" not in page.locator("#new").inner_text()
    assert page.locator("#layers tbody tr").count() == 26


@pytest.mark.long
def test_checks_are_searched(page: Page, runs: list[str]) -> None:
    page.goto("/")
    page.get_by_label("Find").fill("b4c5")
    page.get_by_role("button", name="Search").click()
    (link,) = page.locator("tbody th a").all()
    assert link.get_attribute("href") == f"/checks/{runs[1]}"
    page.get_by_label("Find").fill("no such thing")
    page.get_by_role("button", name="Search").click()
    assert page.get_by_text("Nothing fits this search.").is_visible()


@pytest.mark.long
def test_a_check_is_deleted_after_asking(page: Page, site: ServerHere) -> None:
    with site.client() as client:
        check = ended(client, give(client)["id"])
    page.goto(f"/checks/{check['id']}")
    page.get_by_role("button", name="Delete this check").click()
    page.get_by_role("button", name="Delete it with its report?").click()
    page.wait_for_url(f"{site.url}/")
    with site.client() as client:
        assert client.get(f"/v1/checks/{check['id']}").status_code == 404


@pytest.mark.long
def test_rules_are_read(page: Page) -> None:
    page.get_by_role("link", name="Rules").click()
    page.get_by_role("link", name="IA101", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == "IA101 gain too small"


HOSTILE = "</code><script>alert(1)</script><img src=x onerror=alert(2)>"


def test_hostile_names_are_text_on_every_page(page: Page, site: ServerHere) -> None:
    with site.client() as client:
        params = {"model": HOSTILE, "commit": "'\"><svg onload=alert(3)>", "file": f"{HOSTILE}.onnx"}
        content = _with_layer(HOSTILE)
        ids = [ended(client, give(client, content, **params)["id"])["id"] for _ in range(2)]
        assert client.get(f"/v1/checks/{ids[0]}").json()["summary"]["error"] >= 1
    for address in (
        "/",
        f"/checks/{ids[0]}",
        f"/history?model={httpx.QueryParams({'m': HOSTILE})['m']}",
        f"/compare?a={ids[0]}&b={ids[1]}",
        f"/?q={HOSTILE}",
        f"/v1/checks/{ids[0]}/report?format=html",
    ):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200
        assert page.locator("img[src=x]").count() == 0
        assert HOSTILE in page.inner_text("body") or "alert(1)" in page.inner_text("body")


def _with_layer(name: str) -> bytes:
    model = onnx.load_model_from_string(models.script(name))
    broken = np.full((8, 8), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(broken, name))
    return model.SerializeToString()


def test_the_policy_of_the_pages_is_strict(page: Page, site: ServerHere, expected: list[str]) -> None:
    answer = page.goto("/")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    expected.append("inline script violates the following Content Security Policy")
    ran = page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = 1";
            document.body.append(script);
            return window.ran === 1;
        }"""
    )
    assert not ran
    with site.client() as client:
        check = ended(client, give(client)["id"])
    report = page.goto(f"/v1/checks/{check['id']}/report?format=html")
    assert report is not None
    assert report.headers["content-security-policy"].startswith("sandbox ")
    assert page.evaluate("window.origin") == "null"


@pytest.mark.long
def test_everything_fits_a_phone(page: Page, runs: list[str]) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for address in ("/", f"/checks/{runs[1]}", "/history?model=squeeze", f"/compare?a={runs[0]}&b={runs[1]}", "/rules"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address


@pytest.mark.long
def test_pages_are_accessible(page: Page, runs: list[str]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the checker is a test dependency")
    for address in ("/", f"/checks/{runs[1]}", "/history?model=squeeze", f"/compare?a={runs[0]}&b={runs[1]}", "/login"):
        page.goto(address)
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
