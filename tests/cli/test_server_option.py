"""`initadvisor check --server`: what a local check prints and exits with, done by a service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from initadvisor.cli.formats import FORMATS
from tests.cli.models import mlp, poisoned
from tests.cli.running import environment, here, imported
from tests.service import models
from tests.service.running import ServerHere, free_port

TOKEN = "the-token-of-the-command-line"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerHere]:
    data = tmp_path_factory.mktemp("there") / "data"
    references = {"known": str(tmp_path_factory.mktemp("models") / "known.onnx")}
    mlp(Path(references["known"]))
    server = ServerHere(data, tokens=(TOKEN,), max_upload=1 << 20, max_queue=4, references=references).start()
    yield server
    server.stop()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two models, and the token in the environment."""
    monkeypatch.setenv("INITADVISOR_TOKEN", TOKEN)
    (tmp_path / "models").mkdir()
    mlp(tmp_path / "models" / "good.onnx")
    poisoned(tmp_path / "models" / "bad.onnx")
    return tmp_path


def test_every_format_is_that_of_a_local_check(server: ServerHere, project: Path) -> None:
    words = ["check", "models/good.onnx", "models/bad.onnx", "--output-format", "full", "--preview", "--ignore", "IA2"]
    there, local = (
        here(
            *words,
            *(word for form in FORMATS if form != "full" for word in ("--output-format", f"{form}:{place}.{form}")),
            *(("--server", server.url) if place == "there" else ()),
            cwd=project,
        )
        for place in ("there", "here")
    )
    assert "IA001" in local.stdout
    assert there.stdout == local.stdout
    assert (there.returncode, there.stderr) == (local.returncode, local.stderr) == (1, "")
    for form in FORMATS[1:]:
        assert (project / f"there.{form}").read_text() == (project / f"here.{form}").read_text(), form


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("models/good.onnx",), 0),
        (("models/bad.onnx",), 1),
        (("models/bad.onnx", "--exit-zero"), 0),
        (("models/bad.onnx", "--select", "IA2"), 0),
        (("known",), 0),
        (("models/bad.onnx", "models/none.onnx"), 2),
        (("broken.onnx",), 2),
        (("unknown-name",), 2),
    ],
)
def test_exit_codes_are_those_of_a_local_check(
    server: ServerHere, project: Path, options: tuple[str, ...], code: int
) -> None:
    (project / "broken.onnx").write_bytes(b"no model")
    done = here("check", *options, "--server", server.url, cwd=project)
    assert done.returncode == code, done.stdout + done.stderr
    if code == 2:
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1


def test_suppressions_and_baselines_of_the_project_count(server: ServerHere, project: Path) -> None:
    def both(*more: str) -> None:
        words = ("check", "models/bad.onnx", "--output-format", "json", *more)
        there, local = here(*words, "--server", server.url, cwd=project), here(*words, cwd=project)
        assert (there.returncode, there.stderr) == (local.returncode, local.stderr)
        mine, theirs = json.loads(local.stdout), json.loads(there.stdout)
        assert mine["suppressed"]
        for report in (mine, theirs):
            report.pop("settings_digest")
            for each in report["suppressed"]:  # the service could not know that nobody wants advice on these
                each["finding"].pop("fix")
        assert theirs == mine

    assert here("baseline", "create", "models/bad.onnx", "--baseline", "known.json", cwd=project).returncode == 0
    both("--baseline", "known.json")
    (project / "initadvisor.toml").write_text(
        '[[suppress]]\nlayers = ["fc0*"]\nrules = ["IA001"]\nreason = "on purpose"\n'
        '[[suppress]]\nlayers = ["nowhere"]\nreason = "over"\n'
    )
    both()
    both("--fail-on-unused")


def test_settings_that_only_a_local_check_takes_are_said(server: ServerHere, project: Path) -> None:
    for option in (
        ("--param", "IA101.low=0.4"),
        ("--explain", "fc0"),
        ("--allow-pickle",),
        ("--rules-dir", "."),
        ("--batch-size", "8"),
        ("--expect", "pretrained"),
        ("--jobs", "2"),
        ("--engine", "ray"),
    ):
        done = here("check", "models/good.onnx", *option, "--server", server.url, cwd=project)
        assert done.returncode == 2
        assert f"{option[0]} does not go with --server" in done.stderr
    (project / "initadvisor.toml").write_text("[params]\nIA101.low = 0.4\n")
    done = here("check", "models/good.onnx", "--server", server.url, cwd=project)
    assert (done.returncode, done.stderr) == (
        0,
        "warning: the service judges by its own settings; not used here: params\n",
    )


def test_a_token_comes_from_a_variable(server: ServerHere, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("check", "models/good.onnx", "--server", server.url)
    monkeypatch.setenv("INITADVISOR_TOKEN", "not-the-token")
    done = here(*words, cwd=project)
    assert done.returncode == 2
    assert "does not take the token" in done.stderr
    assert "not-the-token" not in done.stderr
    monkeypatch.setenv("MINE", f" {TOKEN}\n")
    assert here(*words, "--token-env", "MINE", cwd=project).returncode == 0
    done = here(*words, "--token-env", "NOT_SET", cwd=project)
    assert (done.returncode, "NOT_SET, and that variable is not set" in done.stderr) == (2, True)
    assert "--server" in here("check", "models/good.onnx", "--token-env", "MINE", cwd=project).stderr


def test_a_server_that_is_away_full_or_too_small_is_one_line(server: ServerHere, project: Path) -> None:
    with (project / "large.onnx").open("wb") as file:
        file.truncate(40 << 20)
    for url, file, said in (
        (f"http://127.0.0.1:{free_port()}", "models/good.onnx", "cannot be reached: Connection refused"),
        ("nonsense", "models/good.onnx", "not the address of a service"),
        (server.url, "large.onnx", "--max-upload"),
    ):
        done = here("check", file, "--server", url, cwd=project)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    done = here("check", "large.onnx", "--server", server.url, "--output-format", "json", cwd=project)
    report = json.loads(done.stdout)
    assert (report["verdict"], report["error"]["kind"], report["target"]) == (
        "not_checked",
        "ServiceError",
        "large.onnx",
    )


def test_a_failed_check_is_no_clean_one(server: ServerHere, project: Path) -> None:
    (project / "slow.onnx").write_bytes(models.slow())
    process = _started(server, project, "slow.onnx")
    _the_worker(server, signal.SIGSEGV)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("error: slow.onnx: the worker crashed (SIGSEGV)")


def test_an_interrupt_cancels_the_check(server: ServerHere, project: Path) -> None:
    (project / "slow.onnx").write_bytes(models.slow())
    process = _started(server, project, "slow.onnx")
    _the_worker(server, 0)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    with server.client() as client:
        assert client.get("/v1/checks", params={"q": "slow"}).json()["items"][0]["status"] == "cancelled"


def _started(server: ServerHere, project: Path, file: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "initadvisor", "check", file, "--server", server.url],
        cwd=project,
        env=environment({"INITADVISOR_TOKEN": TOKEN}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def _the_worker(server: ServerHere, number: int) -> None:
    """Send a signal to the worker once there is one."""
    until = time.monotonic() + 60
    while not (workers := server.workers()):
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(workers[0], number)


def test_a_check_there_imports_neither_torch_nor_the_extra(server: ServerHere, project: Path) -> None:
    seen = imported("check", "models/good.onnx", "--server", server.url, cwd=project)
    assert "initadvisor.service.client.client" in seen
    assert not {"torch", "fastapi", "uvicorn", "sqlalchemy", "httpx", "onnx"} & seen
