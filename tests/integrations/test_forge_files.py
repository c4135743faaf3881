"""The files for forges, hooks and containers: their shape, and their commands run as they stand."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.cli.models import mlp
from tests.cli.running import ROOT, environment

yaml = pytest.importorskip("yaml", reason="PyYAML comes with transformers and mlflow, which the tests bring")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a model that starts well and one that does not, and the commands `initadvisor` and `python3`."""
    mlp(tmp_path / "good.onnx")
    mlp(tmp_path / "bad.onnx", gain=0.05)
    (tmp_path / "bin").mkdir()
    for name, arguments in {"initadvisor": "-m initadvisor", "python3": ""}.items():
        command = tmp_path / "bin" / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        command.chmod(0o755)
    return tmp_path


def shell(script: str, place: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    env = environment({"PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}", **variables})
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=120, check=False)


ACTION = read("action.yml")
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}


def act(place: Path, **inputs: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """The step that checks, as a runner starts it; and the outputs that it set."""
    step, output = STEPS["Check"], place / "outputs"
    output.write_text("")
    given = {name: spec["default"] for name, spec in ACTION["inputs"].items()} | inputs
    env = {
        key: given[re.fullmatch(r"\$\{\{ inputs\.([a-z-]+) \}\}", value)[1]]  # type: ignore[index]
        for key, value in step["env"].items()
    }
    done = shell(step["run"], place, GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(place / "summary.md"), **env)
    return done, dict(line.split("=", 1) for line in output.read_text().splitlines())


def test_the_action_has_the_form_of_a_composite_one() -> None:
    assert set(ACTION) == {"name", "description", "branding", "inputs", "outputs", "runs"}
    assert ACTION["runs"]["using"] == "composite"
    assert {"targets", "args", "fail-on", "sarif-file", "version"} <= set(ACTION["inputs"])
    for spec in ACTION["inputs"].values():
        assert set(spec) == {"description", "required", "default"}
        assert isinstance(spec["default"], str)
    for spec in ACTION["outputs"].values():
        assert re.fullmatch(r"\$\{\{ steps\.check\.outputs\.[a-z-]+ \}\}", spec["value"])
    for step in STEPS.values():
        kind = {"run", "shell"} if "run" in step else {"uses"}
        assert kind <= set(step) <= {"name", "id", "if", "env", "with", *kind}
        assert step.get("shell", "bash") == "bash"


def test_no_input_becomes_part_of_a_script() -> None:
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")


def test_the_action_checks_writes_sarif_and_keeps_the_exit_code(place: Path) -> None:
    done, outputs = act(place, targets="good.onnx\n\n  bad.onnx \r\n", **{"sarif-file": "out.sarif"})
    assert (done.returncode, outputs) == (1, {"exit-code": "1"}), done.stderr
    assert "::error" in done.stdout
    assert json.loads((place / "out.sarif").read_text())["version"] == "2.1.0"
    assert "bad.onnx" in (place / "summary.md").read_text()
    done, outputs = act(place, targets="good.onnx", args="--select=IA1\n--input-shape=4x64", **{"fail-on": "info"})
    assert (done.returncode, outputs) == (0, {"exit-code": "0"}), done.stdout + done.stderr


def test_what_a_stranger_puts_into_the_action_is_not_run(place: Path) -> None:
    hostile = '$(touch owned).onnx\n"; touch owned; #.onnx\n`touch owned`.onnx\n--exit-zero'
    done, outputs = act(place, targets=hostile, args="", **{"fail-on": ""})
    assert (done.returncode, outputs) == (2, {"exit-code": "2"})
    assert not (place / "owned").exists()
    assert "--exit-zero" in done.stdout, "a target that looks like an option is a target"
    stop, *said = done.stdout[done.stdout.index("::stop-commands::") :].splitlines()
    assert said[-1] == f"::{stop.removeprefix('::stop-commands::')}::"
    done, _ = act(place, targets="good.onnx", **{"fail-on": "error; touch owned"})
    assert done.returncode == 2
    assert not (place / "owned").exists()


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, "{source}"),
        ({"INITADVISOR_EXTRAS": "torch,timm"}, "{source}[torch,timm]"),
        ({"INITADVISOR_VERSION": "0.1.0", "INITADVISOR_EXTRAS": "torch"}, "initadvisor[torch]==0.1.0"),
        ({"INITADVISOR_VERSION": "1; touch owned"}, None),
        ({"INITADVISOR_EXTRAS": "torch] evil["}, None),
    ],
)
def test_what_the_action_installs(place: Path, variables: dict[str, str], wanted: str | None) -> None:
    python = place / "bin" / "python3"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > said\n')
    names = dict.fromkeys(STEPS["Install initadvisor"]["env"], "") | {"INITADVISOR_SOURCE": str(ROOT)}
    done = shell(STEPS["Install initadvisor"]["run"], place, **{**names, **variables})
    if wanted is None:
        assert done.returncode == 2
        assert not (place / "said").exists()
        return
    assert done.returncode == 0, done.stderr
    assert (place / "said").read_text().splitlines()[-1] == wanted.format(source=ROOT)
    assert set(variables.get("INITADVISOR_EXTRAS", "torch").split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_workflow_gives_the_action_inputs_that_it_has() -> None:
    workflow = read("examples/ci/github.yml")
    (job,) = workflow["jobs"].values()
    (ours,) = [step for step in job["steps"] if "initadvisor" in step.get("uses", "")]
    assert set(ours["with"]) <= set(ACTION["inputs"])
    assert workflow["permissions"] == {"contents": "read"}
    assert job["permissions"]["security-events"] == "write"
    assert ours["with"]["upload-sarif"] == "true"


def test_the_gitlab_job_leaves_the_reports_that_it_names(place: Path) -> None:
    (job,) = read("examples/ci/gitlab-ci.yml").values()
    (place / "initadvisor.toml").write_text('targets = ["good.onnx", "bad.onnx"]\n')
    install, check = job["script"]
    assert install.split()[-1] == PROJECT["name"]
    done = shell(check, place, OUTPUTS=job["variables"]["OUTPUTS"])
    assert done.returncode == 1, done.stderr
    reports = job["artifacts"]["reports"]
    assert json.loads((place / reports["codequality"]).read_text())[0]["fingerprint"]
    assert (place / reports["junit"]).read_text().startswith("<?xml")
    assert job["artifacts"]["when"] == "always"


def test_the_hooks_check_what_they_say(place: Path) -> None:
    hooks = {hook["id"]: hook for hook in read(".pre-commit-hooks.yaml")}
    files, targets = hooks["initadvisor"], hooks["initadvisor-targets"]
    chosen = [name for name in ("good.onnx", "a/bad.safetensors", "onnx.py") if re.search(files["files"], name)]
    assert chosen == ["good.onnx", "a/bad.safetensors"]
    assert shlex.split(files["entry"])[0] in PROJECT["scripts"]
    assert shell(f"{files['entry']} good.onnx", place).returncode == 0
    assert shell(f"{files['entry']} good.onnx bad.onnx", place).returncode == 1
    (place / "initadvisor.toml").write_text('targets = ["bad.onnx"]\n')
    assert targets["pass_filenames"] is False
    assert shell(targets["entry"], place).returncode == 1


def test_pre_commit_takes_the_manifest() -> None:
    pytest.importorskip("pre_commit", reason="pre-commit is not among the development packages")
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


DOCKER = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [line.split(None, 1) for line in DOCKER.splitlines() if line and not line.startswith("#")]


def instructions(kind: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == kind]


def test_the_image_runs_as_nobody_in_particular() -> None:
    (user,) = instructions("USER")
    uid, gid = user.split(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert f"--uid {uid}" in DOCKER
    after = [name for name, _ in INSTRUCTIONS[[n for n, _ in INSTRUCTIONS].index("USER") :]]
    assert not {"RUN", "COPY", "ADD"} & set(after), "nothing is changed by that user"
    assert json.loads(instructions("ENTRYPOINT")[0]) == [next(iter(PROJECT["scripts"]))]


def test_the_image_is_built_from_what_is_there_and_pinned() -> None:
    for source in instructions("FROM"):
        assert re.match(r"python:\$\{PYTHON\}-slim\b", source)
    version = next(rest for rest in instructions("ARG") if rest.startswith("PYTHON=")).removeprefix("PYTHON=")
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    copied = [name for rest in instructions("COPY") if not rest.startswith("--from") for name in rest.split()[:-1]]
    assert {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "rules", "initadvisor"} == set(copied)
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored


def test_what_the_image_installs(place: Path) -> None:
    assert not instructions("ADD")
    build, install = instructions("RUN")
    assert build.endswith("--wheel-dir /dist .")
    (place / "dist").mkdir()
    wheel = place / "dist" / "initadvisor-0.1.0-py3-none-any.whl"
    wheel.touch()
    python = place / "bin" / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > said\n')
    python.chmod(0o755)
    command = install.split("&&")[0].replace("/dist/", f"{place}/dist/")
    for extras, ending in {"": "", "torch": "[torch]"}.items():
        assert not extras or extras in PROJECT["optional-dependencies"]
        done = shell(command, place, EXTRAS=extras, TORCH_INDEX="https://example.invalid/cpu")
        assert done.returncode == 0, done.stderr
        said = (place / "said").read_text().splitlines()
        assert said[:3] == ["-m", "pip", "install"]
        assert said[-1] == f"{wheel}{ending}"
        assert "--no-cache-dir" in said
    for run in (build, install):
        assert not re.search(r"\bsudo\b|curl|wget|apt-get|\|\s*(ba)?sh", run)
