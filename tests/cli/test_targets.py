"""`initadvisor check` by configuration: targets by name, suppressions, severities, and where a setting came from."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.cli.models import mlp, poisoned
from tests.cli.running import here

CONFIG = """
[targets.good]
target = "models/good.onnx"
[targets.bad]
target = "models/bad.onnx"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    mlp(tmp_path / "models" / "good.onnx", depth=3)
    poisoned(tmp_path / "models" / "bad.onnx", depth=3)
    return tmp_path


def _configure(project: Path, text: str) -> None:
    (project / "initadvisor.toml").write_text(text + CONFIG)


def test_plain_check_runs_every_target_and_a_name_runs_one(project: Path) -> None:
    _configure(project, "")
    both = here("check", "--output-format=jsonl", cwd=project)
    assert both.returncode == 1
    assert [json.loads(line)["target"] for line in both.stdout.splitlines()] == ["models/good.onnx", "models/bad.onnx"]
    assert here("check", "good", cwd=project).returncode == 0
    assert here("check", "bad", cwd=project).returncode == 1
    inner = here("check", "good", "--output-format=concise", cwd=project / "models")
    assert inner.stdout.startswith("good.onnx: no findings")


def test_an_unreadable_target_outweighs_findings(project: Path) -> None:
    (project / "models" / "good.onnx").write_bytes(b"")
    _configure(project, "")
    done = here("check", "--exit-zero", "--output-format=sarif", cwd=project)
    assert done.returncode == 2
    [run] = json.loads(done.stdout)["runs"]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["results"][0]["ruleId"] == "IA001"


def test_a_misspelt_name_is_refused_with_the_nearest(project: Path) -> None:
    _configure(project, "")
    done = here("check", "goood", cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'error: there is no target and no file "goood" (did you mean "good"?)\n'


def test_each_target_has_settings_of_its_own_by_name_or_by_file(project: Path) -> None:
    _configure(project, "")
    with (project / "initadvisor.toml").open("a") as end:
        end.write('ignore = ["IA001"]\n')
    for target in ("bad", "models/bad.onnx", str(project / "models" / "bad.onnx")):
        assert here("check", target, cwd=project).returncode == 0
    (project / "other.onnx").write_bytes((project / "models" / "bad.onnx").read_bytes())
    assert here("check", "other.onnx", cwd=project).returncode == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('severity = { IA001 = "warning" }\n', 0),
        ('severity = { IA001 = "warning" }\nfail-on = "warning"\n', 1),
        ('severity = { IA001 = "off" }\n', 0),
        ('severity = { tensor = "info" }\nfail-on = "warning"\n', 0),
        ("strict = true\n", 2),
    ],
)
def test_severities_and_the_threshold_decide_the_exit_code(project: Path, text: str, code: int) -> None:
    _configure(project, text)
    assert here("check", "bad", cwd=project).returncode == code


SUPPRESS = '[[suppress]]\nlayers = "{layers}"\nrules = ["IA001"]\nreason = "a test of the loader"\n{more}'


def test_a_suppressed_finding_does_not_count_and_is_listed_everywhere_it_can_be(project: Path) -> None:
    _configure(project, SUPPRESS.format(layers="fc0*", more="expires = 2999-01-31\n"))
    full = here("check", "bad", cwd=project)
    assert (full.returncode, full.stderr) == (0, "")
    assert "No findings (1 suppressed)." in full.stdout
    said = "is suppressed: a test of the loader (initadvisor.toml, until 2999-01-31)"
    assert said in " ".join(full.stdout.split())
    report = json.loads(here("check", "bad", "--output-format=json", cwd=project).stdout)
    assert (report["verdict"], report["summary"]["error"], report["summary"]["suppressed"]) == ("clean", 0, 1)
    assert report["suppressed"][0]["finding"]["rule"] == "IA001"
    sarif = json.loads(here("check", "bad", "--output-format=sarif", cwd=project).stdout)
    [result] = sarif["runs"][0]["results"]
    assert result["suppressions"][0]["justification"].startswith("a test of the loader")
    assert "<skipped " in here("check", "bad", "--output-format=junit", cwd=project).stdout
    assert json.loads(here("check", "bad", "--output-format=gitlab", cwd=project).stdout) == []
    assert "::error" not in here("check", "bad", "--output-format=github", cwd=project).stdout


def test_unused_and_expired_suppressions_are_said_and_can_fail_a_run(project: Path) -> None:
    _configure(project, SUPPRESS.format(layers="neck", more=""))
    done = here("check", cwd=project)
    assert done.stderr == "warning: unused suppression: IA001 on neck (initadvisor.toml)\n"
    assert (here("check", "good", cwd=project).stderr, here("check", "--select=IA0", cwd=project).stderr) == ("", "")
    assert here("check", "--ignore=IA0", "--fail-on-unused", cwd=project).returncode == 0
    (project / "initadvisor.toml").write_text(
        'fail-on-unused = true\ntargets = ["models/good.onnx"]\n' + SUPPRESS.format(layers="neck", more="")
    )
    assert here("check", cwd=project).returncode == 1
    assert here("check", "--exit-zero", cwd=project).returncode == 0
    _configure(project, SUPPRESS.format(layers="fc0*", more="expires = 2020-01-31\n"))
    done = here("check", "bad", cwd=project)
    assert done.returncode == 1
    assert done.stderr == "warning: expired suppression: IA001 on fc0* (initadvisor.toml)\n"


def test_a_suppression_is_used_where_any_target_needs_it(project: Path) -> None:
    _configure(project, SUPPRESS.format(layers="fc0*", more=""))
    assert here("check", "--fail-on-unused", cwd=project).stderr == ""


def test_shown_settings_are_toml_with_their_origin_and_nothing_is_read(project: Path) -> None:
    (project / "models" / "bad.onnx").unlink()
    text = 'preview = true\nparams = { IA101 = { low = 0.4 } }\nseverity = { IA102 = "off" }\n'
    _configure(project, text + SUPPRESS.format(layers="fc0*", more=""))
    with (project / "initadvisor.toml").open("a") as end:
        end.write('fail-on = "warning"\ninput-shapes = [[4, 64]]\n')
    done = here("check", "bad", "--show-settings", "--ignore=IA103", "--param=IA101.low=0.2", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    origins = dict(line.rsplit("  # ", 1) for line in done.stdout.splitlines() if not line.startswith("#"))
    shown = {key.strip(): origin for key, origin in origins.items()}
    assert shown["preview = true"] == "initadvisor.toml"
    assert shown['fail-on = "warning"'] == "[targets.bad]"
    assert shown['ignore = ["IA103"]'] == "--ignore"
    assert shown["params.IA101.low = 0.2"] == "--param"
    assert shown['severity.IA102 = "off"'] == "initadvisor.toml"
    assert shown["strict = false"] == "default"
    lines = [line for line in done.stdout.splitlines() if not line.startswith("suppress")]
    assert tomllib.loads("\n".join(lines))["input-shapes"] == [[4, 64]]


def test_advice_goes_by_name_and_follows_the_settings_of_the_target(project: Path) -> None:
    mlp(project / "models" / "bad.onnx", gain=0.1, depth=4)
    _configure(project, "")
    with (project / "initadvisor.toml").open("a") as end:
        end.write('preset = "orthogonal"\n')
    done = here("advise", "bad", "--emit=json", cwd=project)
    steps = json.loads(done.stdout)["steps"]
    assert done.returncode == 0
    assert sum(step["method"] == "orthogonal" for step in steps) >= 3
    fixed = here("fix", "bad", "-o", "out.onnx", cwd=project)
    assert (fixed.returncode, (project / "out.onnx").is_file()) == (0, True), fixed.stderr


def test_settings_are_shown_without_any_target_too(tmp_path: Path) -> None:
    done = here("check", "--show-settings", "--preview", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("# any target\n# configuration: none\n")
    assert "preview = true" in done.stdout
