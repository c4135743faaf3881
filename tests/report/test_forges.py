"""SARIF, JUnit, GitLab, GitHub and Markdown: valid by their own schema, and hostile names stay names."""

from __future__ import annotations

import gzip
import json
import re
import sys
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from sarif_pydantic import Sarif

from initadvisor.report.accepted import lines as accepted_lines
from initadvisor.report.escape import MAX_MESSAGE
from initadvisor.report.github import MAX_SHOWN, as_github
from initadvisor.report.gitlab import as_gitlab
from initadvisor.report.junit import as_junit
from initadvisor.report.locate import Place, locate
from initadvisor.report.markdown import as_markdown, as_summary
from initadvisor.report.model import Report
from initadvisor.report.sarif import MAX_RESULTS, as_sarif
from tests.report.samples import HOSTILE, accepting, apart, finding, report, skipped, unreadable

HOSTILE_MESSAGE = "see [here](evil) {0} ]]> @team ##[error] %0A" + HOSTILE
HUGE = HOSTILE * 4_000
"""About 100 kB of one name."""

RUNS: dict[str, list[Report]] = {
    "clean": [report()],
    "failing": [report(finding(), finding("IA102", "conv", "warning"), finding("IA210", "rnn", "info"))],
    "unevaluated": [report(not_evaluated=(skipped("IA101", "a", "no graph"), skipped("IA101", "b", "no graph")))],
    "unreadable": [report(), unreadable(), unreadable(HOSTILE)],
    "hostile": [report(finding(name=HOSTILE, message=HOSTILE_MESSAGE), target=HOSTILE)],
    "suppressed": [
        accepting(
            apart(finding(name="a")),
            apart(finding(name="b"), "module", HOSTILE_MESSAGE, HOSTILE),
            apart(finding(name=HOSTILE), "model", "x" * 5000),
            apart(finding(name="c"), "baseline"),
            findings=(finding(name="d"),),
        ),
        accepting(apart(finding("IA102"), "baseline"), target="other.onnx"),
    ],
    "huge names": [
        report(*(finding(f"IA10{i}", f"{i}{HUGE}", message=f"{HUGE} {i}") for i in range(9)), target=HUGE),
        unreadable(f"2{HUGE}"),
    ],
    "many unreadable": [unreadable(f"{i}.onnx") for i in range(30)],
    "large": [report(*(finding(name=f"layer{i}", severity="warning") for i in range(10_000)), finding(name="last"))],
    "none": [],
}


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> list[Report]:
    return RUNS[request.param]


def test_sarif_is_valid_and_within_the_limits(run: list[Report]) -> None:
    text = as_sarif(run)
    Sarif.model_validate_json(text)
    [only] = json.loads(text)["runs"]
    assert len(only["results"]) == min(sum(len(r.findings) + len(r.suppressed) for r in run), MAX_RESULTS)
    assert sum("suppressions" in row for row in only["results"]) == sum(len(r.suppressed) for r in run)
    assert len(only["tool"]["driver"]["rules"]) <= 25_000
    assert len(gzip.compress(text.encode())) < 10 * 10**6
    if len(only["results"]) < 20:
        assert len(text) < 100_000
    hashes = [row["partialFingerprints"]["primaryLocationLineHash"] for row in only["results"]]
    assert len(set(hashes)) == len(hashes)
    for row in only["results"]:
        assert len(row["message"]["text"]) <= 2 * MAX_MESSAGE
        assert only["tool"]["driver"]["rules"][row["ruleIndex"]]["id"] == row["ruleId"]
        [location] = row["locations"]
        place = location["physicalLocation"]
        assert place["region"]["startLine"] >= 1
        assert not place["artifactLocation"]["uri"].startswith(("/", ".."))
        assert location["logicalLocations"][0]["fullyQualifiedName"]
        assert not re.search(r"(?<!\\)[\[\]]|(?<!\{)\{(?!\{)", row["message"]["text"])
    assert only["invocations"][0]["executionSuccessful"] is all(r.verdict != "not_checked" for r in run)


def test_sarif_keeps_the_gravest_of_too_many_and_says_so() -> None:
    [run] = json.loads(as_sarif(RUNS["large"]))["runs"]
    assert run["results"][0]["level"] == "error"
    assert "5001" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_sarif_says_who_accepted_what_and_why() -> None:
    [run] = json.loads(as_sarif(RUNS["suppressed"]))["runs"]
    given = [row["suppressions"][0] for row in run["results"] if "suppressions" in row]
    assert [each["kind"] for each in given] == ["external", "inSource", "inSource", "external", "external"]
    assert given[0]["justification"] == "meant"
    assert "in the baseline" in given[3]["justification"]
    assert "suppressions" not in run["results"][0]
    assert run["invocations"][0]["executionSuccessful"] is True


def test_each_report_of_junit_may_have_a_threshold_of_its_own() -> None:
    both = [report(finding(severity="warning")), report(finding(severity="warning"))]
    suites = JUnitXml.fromstring(as_junit(both, ["warning", "error"]).encode())
    assert [suite.failures for suite in suites] == [1, 0]


@pytest.mark.parametrize("room", [0, 199, 200, 1_000, 20_000, 1 << 20])
def test_a_summary_keeps_within_its_room_and_says_what_is_missing(room: int) -> None:
    many = [report(target=f"clean{i}") for i in range(200)] + [
        unreadable("broken.onnx"),
        report(finding(), target="bad"),
    ]
    text = as_summary(many, None, room)
    assert len(text.encode()) <= room
    shown = text.count("### ")
    if 0 < shown < len(many):
        assert text.startswith("### broken.onnx")
        assert f"{len(many) - shown} more targets" in text
    assert (shown == len(many)) is (text == as_markdown(many))


def test_what_could_not_be_read_is_annotated_before_what_was_found() -> None:
    run = [report(*(finding(name=f"n{i}") for i in range(20))), unreadable()]
    lines = as_github(run).splitlines()
    assert "title=not checked" in lines[0]
    assert "11 more of level error; GitHub shows 10 a step" in lines


def test_junit_counts_what_it_holds(run: list[Report]) -> None:
    parsed = JUnitXml.fromroot(JUnitXml.fromstring(as_junit(run).encode())._elem)
    suites = list(parsed)
    assert len(suites) == len(run)
    for suite, one in zip(suites, run, strict=True):
        results = [type(result).__name__ for case in suite for result in case.result]
        assert results.count("Failure") == suite.failures == one.summary.error
        assert results.count("Error") == suite.errors == (one.error is not None)
        silent = len({(n.rule, n.reason) for n in one.not_evaluated}) + len(one.suppressed)
        assert results.count("Skipped") == suite.skipped == silent
        assert suite.tests == len(list(suite)) >= 1


def test_junit_fails_from_the_given_severity_on() -> None:
    assert [s.failures for s in JUnitXml.fromstring(as_junit(RUNS["failing"], "warning").encode())] == [2]


def test_gitlab_has_unique_fingerprints_and_all_that_is_required(run: list[Report]) -> None:
    rows = json.loads(as_gitlab(run))
    assert len(rows) == sum(len(r.findings) + (r.error is not None) for r in run)
    assert len({row["fingerprint"] for row in rows}) == len(rows)
    for row in rows:
        assert set(row) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert row["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert row["location"]["lines"]["begin"] >= 1
        assert not row["location"]["path"].startswith(("/", ".."))
        assert len(row["description"]) <= MAX_MESSAGE
        assert not set(row["description"]) & set("\x1b\r\n\u202e\u200b")


def test_github_holds_no_command_but_its_own(run: list[Report]) -> None:
    lines = as_github(run).splitlines()
    commands = [line for line in lines if line.lstrip().startswith("::")]
    for line in commands:
        assert re.fullmatch(r"::(error|warning|notice) file=[^,:]+,line=\d+,title=[^:,]*::.*", line)
    assert all("##[" not in line for line in lines)
    for level in ("error", "warning", "notice"):
        assert sum(line.startswith(f"::{level} ") for line in commands) <= MAX_SHOWN
    assert len(commands) >= min(1, sum(len(r.findings) for r in run))
    assert all(len(line) < 16_384 for line in lines)
    assert not any(ord(c) < 32 or c in "\u202e\u200b\x7f" for line in lines for c in line)


def test_markdown_is_one_table_of_text(run: list[Report]) -> None:
    tokens = MarkdownIt("gfm-like", {"html": False, "linkify": False}).parse(as_markdown(run))
    kinds = {child.type for token in tokens for child in (token.children or [])} | {token.type for token in tokens}
    assert not kinds & {"link_open", "image", "code_inline", "fence", "html_block", "em_open"}
    groups = sum(len({(f.severity, f.rule) for f in r.findings}) for r in run)
    assert sum(token.type == "list_item_open" for token in tokens) == sum(len(accepted_lines(r)) for r in run)
    rows = [token for token in tokens if token.type == "tr_open"]
    assert len(rows) == groups + sum(bool(r.findings) for r in run)
    cells = sum(token.type == "td_open" for token in tokens)
    assert cells == 5 * groups


def test_a_file_in_the_checkout_is_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a b.onnx").write_bytes(b"")
    assert locate("models/a b.onnx", tmp_path) == Place("models/a b.onnx")
    assert locate(str(tmp_path / "models" / "a b.onnx"), tmp_path) == Place("models/a b.onnx")


def test_a_factory_is_where_it_is_defined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "zoo_for_locating.py"
    source.write_text("import os\n\n\ndef build():\n    return os\n")
    module = ModuleType("zoo_for_locating")
    exec(compile(source.read_text(), str(source), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "zoo_for_locating", module)
    assert locate("zoo_for_locating:build", tmp_path) == Place("zoo_for_locating.py", 4)
    assert locate("zoo_for_locating:missing", tmp_path) == Place("zoo_for_locating_missing")


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../outside.onnx", HOSTILE, "x" * 5000, "torchvision:resnet50", ""]
)
def test_what_lies_elsewhere_is_shown_inside(tmp_path: Path, target: str) -> None:
    place = locate(target, tmp_path)
    assert place.file
    assert not place.file.startswith(("/", "."))
    assert ".." not in place.file.split("/")
    (tmp_path / "pyproject.toml").write_text("")
    assert locate(target, tmp_path) == Place("pyproject.toml")


def test_the_words_of_a_clean_run_are_there() -> None:
    out = StringIO(as_github(RUNS["clean"]) + as_markdown(RUNS["clean"]))
    assert "no findings" in out.getvalue().lower()
