"""The report is versioned data that its schema describes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from initadvisor.report import Report, json_schema, render
from tests.report.samples import HOSTILE, finding, report, skipped, unreadable

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "report.schema.json"


@pytest.mark.parametrize(
    "made",
    [
        report(),
        report(finding(), finding("IA001", HOSTILE, "warning")),
        report(not_evaluated=(skipped("IA101", "fc", "layer.gain is not known"),)),
        unreadable(),
    ],
)
def test_json_output_matches_the_schema_and_comes_back_whole(made: Report) -> None:
    data = json.loads(render([made], "json"))
    jsonschema.validate(data, json_schema(), cls=jsonschema.Draft202012Validator)
    assert Report.model_validate(data) == made
    assert render([made], "json").isascii()


def test_a_report_prints_as_on_a_terminal() -> None:
    made = report(finding(name="conv"))
    assert str(made) == render([made], "full")
    assert "error IA101" in str(made)
    assert repr(made).startswith("Report(schema_version=")


def test_the_committed_schema_is_current() -> None:
    committed = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    assert committed == json_schema(), "run: initadvisor schema --output-file docs/report.schema.json"


def test_the_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_schema_refuses_what_is_not_a_report() -> None:
    data = json.loads(render([report(finding())], "json"))
    data["verdict"] = "fine"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema())
    with pytest.raises(ValidationError):
        Report.model_validate(data)


REPORT = (
    "schema_version tool target verdict summary coverage findings not_evaluated layers signal probe settings_digest"
)
LATER = "error explanation suppressed unused_suppressions expired_suppressions"
FINDING = "rule name severity subject message evidence fix fingerprint"
LAYER = """name op weight bias shape fan_in fan_out activation norm_before norm_after residual_role depth tied_to
    drawn_from recommended"""


def test_keys_of_schema_version_1_are_there() -> None:
    data = json.loads(render([report(finding())], "json"))
    assert set(data) == {*REPORT.split(), *LATER.split(), "details", "risk"}
    assert set(data["findings"][0]) == set(FINDING.split())
    assert set(data["findings"][0]["subject"]) == {"kind", "name", "tensor"}
    assert set(data["layers"][0]) == set(LAYER.split())
    assert data["schema_version"] == "1"


def test_several_targets_are_an_array_in_json_and_lines_in_jsonl() -> None:
    both = [report(), unreadable()]
    assert [row["verdict"] for row in json.loads(render(both, "json"))] == ["clean", "not_checked"]
    lines = render(both, "jsonl").splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == ["clean", "not_checked"]
    assert render([], "jsonl") == ""


@pytest.mark.parametrize(
    ("severities", "fail_on", "fails"),
    [
        (["error"], "error", True),
        (["warning"], "error", False),
        (["warning"], "warning", True),
        (["info", "warning"], "warning", True),
        (["info"], "warning", False),
        (["info"], "info", True),
        ([], "info", False),
    ],
)
def test_failing_from_a_severity_on(severities: list[str], fail_on: str, fails: bool) -> None:
    assert report(*(finding(severity=s) for s in severities)).failing(fail_on) is fails  # type: ignore[arg-type]
