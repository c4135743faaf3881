"""The top command: help, version, errors on one line, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import initadvisor
from tests.cli.running import ROOT, environment, imported, run


def test_help_and_version() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in ("check", "advise", "fix", "rule", "schema"))
    version = run("--version")
    assert (version.returncode, version.stdout) == (0, f"initadvisor {initadvisor.__version__}\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["chek", "x.onnx"], 'there is no command "chek" (did you mean "check"?)'),
        (["check"], "there is nothing to check"),
        (["check", "--foo", "x"], "no such option '--foo'"),
        (["check", "--output-format", "xml", "x"], "'xml' is not a format"),
        (["check", "--input-shape", "1xax3", "x"], "not of the form 1x3x224x224"),
        (["check", "--select", "IA9999", "x.onnx"], 'no rule answers to "IA9999"'),
        (["check", "--select", "gain-to-small", "x.onnx"], 'did you mean "gain-too-small"?'),
        (["check", "--param", "IA101.lwo=1", "x.onnx"], 'has no parameter "lwo"'),
        (["check", "--param", "nonsense", "x.onnx"], "RULE.PARAMETER=VALUE"),
        (["check", "--rules-dir", "nowhere", "x.onnx"], "the rules folder nowhere does not exist"),
        (["check", "--config", "nowhere.toml", "x.onnx"], "nowhere.toml does not exist"),
        (["rule", "IA9999"], 'there is no rule "IA9999"'),
        (["rule", "test", "nowhere"], "there is no rule file or folder nowhere"),
    ],
)
def test_errors_are_one_line_on_stderr_and_exit_with_2(tmp_path: Path, args: list[str], said: str) -> None:
    done = run(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_bad_configuration_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "initadvisor.toml").write_text("selct = []")
    done = run("check", "x.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert 'did you mean "select"?' in done.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    for args in (["--debug", "rule", "IA9999"], ["rule", "IA9999", "--debug"]):
        done = run(*args, cwd=tmp_path)
        assert done.returncode == 2
        assert "Traceback" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: ")


def test_importing_the_package_brings_no_heavy_library() -> None:
    code = "import sys, initadvisor; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    heavy = {"torch", "onnx", "numpy", "pydantic", "click", "rich", "google", "cel_expr_python"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["check", "--help"]])
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    names = {module.split(".")[0] for module in imported(*args)}
    assert "click" in names
    assert not {"torch", "onnx", "numpy", "pydantic", "rich", "jinja2", "cel_expr_python", "google", "asyncio"} & names


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_the_top_level_help_imports_no_command(args: list[str]) -> None:
    own = {module for module in imported(*args) if module.startswith("initadvisor.")}
    assert own <= {
        "initadvisor.cli",
        "initadvisor.cli.language",
        "initadvisor.cli.main",
        "initadvisor.errors",
        "initadvisor.__main__",
    }


def test_a_closed_pipe_is_quiet() -> None:
    command = f"'{sys.executable}' -m initadvisor rule --all | head -1"
    done = subprocess.run(["bash", "-c", command], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_an_interrupt_exits_with_130(tmp_path: Path) -> None:
    (tmp_path / "slow_factory.py").write_text("import time, pathlib\npathlib.Path('started').touch()\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "initadvisor", "check", "slow_factory:make"],
        cwd=tmp_path,
        env=environment({"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job of a shell inherits SIGINT ignored; a person at a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_dir_lists_what_the_package_offers() -> None:
    assert set(initadvisor.__all__) <= set(dir(initadvisor))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        initadvisor.nothing  # type: ignore[attr-defined]
