"""The page as text: valid, safe, bounded, complete."""

from __future__ import annotations

import base64
import hashlib
import re
import time

import html5lib
import pytest

from initadvisor.report import Report, render
from initadvisor.rules import Rule, discover
from tests.report.html.reports import MARKUP, full
from tests.report.samples import HOSTILE, finding, report, unreadable

RUNS: dict[str, list[Report]] = {
    "clean": [report()],
    "failing": [full()],
    "unreadable": [unreadable()],
    "several": [full(), report(), unreadable(HOSTILE)],
    "hostile": [full(name=f"{MARKUP}.{{}}".replace("{{7*7}}", "{{{{7*7}}}}"), target=MARKUP)],
    "none": [],
}


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> list[Report]:
    return RUNS[request.param]


def test_the_page_is_valid_html(run: list[Report]) -> None:
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(render(run, "html"))
    # HTML 5.1 knows `<details>` within `<li>` and attributes of `<svg>`; html5lib only tells what its grammar lacks.
    assert not parser.errors, parser.errors[:5]


def test_names_never_become_markup(run: list[Report]) -> None:
    tree = html5lib.parse(render(run, "html"), namespaceHTMLElements=False)
    assert len(list(tree.iter("script"))) == 1
    assert not list(tree.iter("img"))
    for element in tree.iter():
        handlers = [name for name in element.attrib if str(name).startswith("on") or name in ("style", "src")]
        assert not handlers, element.attrib


def test_the_policy_admits_one_style_and_one_script(run: list[Report]) -> None:
    text = render(run, "html")
    tree = html5lib.parse(text, namespaceHTMLElements=False)
    policy = next(m.get("content") for m in tree.iter("meta") if m.get("http-equiv") == "Content-Security-Policy")
    for tag in ("style", "script"):
        [element] = tree.iter(tag)
        digest = base64.b64encode(hashlib.sha256((element.text or "").encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert text.index("Content-Security-Policy") < text.index("<style>"), "a policy holds for what comes after it"


def test_nothing_is_fetched(run: list[Report]) -> None:
    tree = html5lib.parse(render(run, "html"), namespaceHTMLElements=False)
    assert not list(tree.iter("link"))
    for anchor in tree.iter("a"):
        assert anchor.get("href", "").startswith(("#", "https://", "http://"))


def test_ids_are_unique_and_links_within_the_page_lead_somewhere(run: list[Report]) -> None:
    tree = html5lib.parse(render(run, "html"), namespaceHTMLElements=False)
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    targets = {a.get("href", "")[1:] for a in tree.iter("a") if a.get("href", "").startswith("#")}
    assert targets <= set(ids)


def test_a_finding_is_told_with_what_to_do_about_it() -> None:
    text = _text(render([full()], "html", why={"IA101": "The signal fades."}))
    assert "2 errors, 1 warning, 1 info in 4 of 12 layers: as it stands, this model is not expected to train." in text
    for part in ("The signal fades.", "std 0.00 is small", "draw it from kaiming_normal (gain 1.414)"):
        assert part in text
    assert "initadvisor fix model.onnx --only-flagged" in text
    assert "an operator is not known: Mystery" in text


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (report(), "No findings: nothing that could be checked stands in the way of training."),
        (report(finding(severity="warning")), "it may train slower, or less surely, than it could."),
        (report(finding(severity="info")), "worth knowing, no reason to stop."),
        (unreadable(), "Not checked: broken.onnx is truncated."),
    ],
)
def test_the_verdict_is_one_sentence(made: Report, verdict: str) -> None:
    assert verdict in _text(render([made], "html"))


def test_the_text_of_a_rule_is_there_and_a_strangers_rule_adds_no_markup() -> None:
    known = discover(packs=False).rules["IA101"]
    assert "Compares the gain of a layer" in _text(render([report(finding("IA101"))], "html"))
    evil = Rule(
        id="IA101",
        name="x",
        settings=known.settings,
        sections={
            "What it does": "<script>document.title=1</script> [a](javascript:alert(1)) ![b](https://evil/pixel.png) "
            "[c](data:text/html,x) [d](https://example.org)",
        },
    )
    text = render([report(finding("IA101"))], "html", rules={"IA101": evil})
    tree = html5lib.parse(text, namespaceHTMLElements=False)
    assert len(list(tree.iter("script"))) == 1
    assert not list(tree.iter("img"))
    links = [a.get("href") for a in tree.iter("a") if not a.get("href", "").startswith("#")]
    assert "https://example.org" in links
    assert all(str(link).startswith("https://") for link in links), links


def test_ten_thousand_layers_and_findings_stay_within_bounds_and_the_rest_is_counted() -> None:
    big = full(10_000)
    many = report(*(finding(name=f"layer{i}", message=f"std {i}") for i in range(10_000)))
    for made, left in ((big, "8500 layers are left out"), (many, "more; the json output lists all")):
        text = render([made], "html")
        assert len(text) < 3_000_000
        assert left in _text(text)


def test_the_time_grows_no_faster_than_the_report() -> None:
    def seconds(layers: int) -> float:
        made = full(layers)
        best = float("inf")
        for _ in range(2):
            start = time.process_time()
            render([made], "html")
            best = min(best, time.process_time() - start)
        return best

    seconds(100)
    # 16 times the layers; the part of the time that does not grow makes this generous.
    assert seconds(8_000) < 20 * seconds(500) + 0.3


def test_many_targets_share_the_page() -> None:
    text = render([full(100, target=f"m{i}.onnx") for i in range(12)], "html")
    assert len(text) < 2_500_000
    assert "12 targets" in text
    tree = html5lib.parse(text, namespaceHTMLElements=False)
    assert sum(element.get("class") == "report" for element in tree.iter("article")) == 12


def test_severity_is_a_word_wherever_it_is_a_shape() -> None:
    tree = html5lib.parse(render([full()], "html"), namespaceHTMLElements=False)
    for mark in tree.iter("a"):
        if mark.get("class", "").startswith("mark "):
            assert re.match(r"(error|warning|info) IA\d+", "".join(mark.itertext()))


def _text(page: str) -> str:
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    for parent in tree.iter():
        for child in list(parent):
            if child.tag in ("style", "script"):
                parent.remove(child)
    return " ".join("".join(tree.itertext()).split())
