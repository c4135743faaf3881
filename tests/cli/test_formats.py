"""`check --output-format`: several at once, each to its own place."""

from __future__ import annotations

import json
from pathlib import Path

from junitparser import JUnitXml
from sarif_pydantic import Sarif

from initadvisor.cli.formats import MAX_STEP_SUMMARY
from tests.cli.models import poisoned
from tests.cli.running import environment, run


def test_each_format_goes_to_its_file_and_the_one_without_to_stdout(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx")
    wanted = ["concise", "sarif:out.sarif", "junit:out.xml", "gitlab:out.json", "markdown:out.md"]
    done = run("check", "bad.onnx", *[f"--output-format={each}" for each in wanted], cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("bad.onnx:fc0.weight: IA001 error ")
    sarif = Sarif.model_validate_json((tmp_path / "out.sarif").read_text())
    location = sarif.runs[0].results[0].locations[0].physical_location
    assert location.artifact_location.uri == "bad.onnx"
    assert any(suite.failures for suite in JUnitXml.fromfile(str(tmp_path / "out.xml")))
    assert json.loads((tmp_path / "out.json").read_text())[0]["location"]["path"] == "bad.onnx"
    assert "| error | IA001" in (tmp_path / "out.md").read_text()


def test_an_unreadable_target_is_in_every_machine_format_and_still_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"\x00" * 9)
    for name in ("sarif", "junit", "gitlab", "github", "markdown"):
        done = run("check", "broken.onnx", "--output-format", name, cwd=tmp_path)
        assert done.returncode == 2
        assert "not checked" in done.stdout.lower() or "<error " in done.stdout, done.stdout


def test_github_gets_a_step_summary(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx")
    (tmp_path / "summary.md").write_text("before\n")
    done = run(
        "check",
        "bad.onnx",
        "--output-format=github",
        cwd=tmp_path,
        env={**environment(), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")},
    )
    assert done.stdout.startswith("::error file=bad.onnx,line=1,title=IA001 ")
    assert (tmp_path / "summary.md").read_text().startswith("before\n### bad.onnx")


def test_the_step_summary_keeps_below_its_limit(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx")
    summary = tmp_path / "summary.md"
    summary.write_bytes(b"x" * (MAX_STEP_SUMMARY - 250))
    env = {**environment(), "GITHUB_STEP_SUMMARY": str(summary)}
    done = run("check", "bad.onnx", "--output-format=github", cwd=tmp_path, env=env)
    assert done.returncode == 1
    assert MAX_STEP_SUMMARY - 250 < summary.stat().st_size <= MAX_STEP_SUMMARY
    assert "1 more targets do not fit here" in summary.read_text()


def test_code_scanning_is_not_sent_what_it_would_open_an_alert_for(tmp_path: Path) -> None:
    poisoned(tmp_path / "bad.onnx")
    (tmp_path / "initadvisor.toml").write_text('[[suppress]]\nrules = ["IA001"]\nreason = "known"\n')
    for actions, expected in (("", 1), ("true", 0)):
        env = {**environment(), "GITHUB_ACTIONS": actions}
        done = run("check", "bad.onnx", "--output-format=sarif", cwd=tmp_path, env=env)
        assert done.returncode == 0
        assert len(json.loads(done.stdout)["runs"][0]["results"]) == expected


def test_two_formats_for_one_place_and_an_unknown_format_are_refused_before_any_work(tmp_path: Path) -> None:
    for options, said in (
        (["--output-format=json", "--output-format=sarif"], "two formats go to stdout"),
        (["--output-format=json:a", "--output-format=sarif:a"], "two formats go to a"),
        (["--output-format=json:a", "--output-file=b"], "--output-file is for one format"),
        (["--output-format=sarrif"], 'did you mean "sarif"'),
    ):
        done = run("check", "absent.onnx", *options, cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr, done.stderr
        assert "absent.onnx" not in done.stderr
