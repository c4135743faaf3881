"""Completion in the shells themselves, and that it stays light."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from initadvisor.rules import discover
from tests.cli.running import environment, imported, run

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which `initadvisor` is a program, as after an installation."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "initadvisor"
    program.write_text(f"#!{sys.executable}\nfrom initadvisor.cli import main\nmain()\n")
    program.chmod(0o755)
    found = environment()
    return {**found, "PATH": os.pathsep.join((str(folder), found["PATH"])), "HOME": str(folder)}


def _bash(words: list[str], env: dict[str, str], cwd: Path) -> list[str]:
    """What bash would offer for the last word, by the function that the script defines."""
    typed = " ".join(f"'{word}'" for word in words)
    code = f"""
        eval "$(initadvisor completion bash)"
        COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}
        compopt() {{ echo "compopt $2"; }}  # only there while readline completes
        _initadvisor_completion initadvisor
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", code], env=env, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def test_bash(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").touch()
    (tmp_path / "tiny.txt").touch()
    assert _bash(["initadvisor", "ch"], env, tmp_path) == ["check"]
    assert "IA103" in _bash(["initadvisor", "check", "--select", "IA10"], env, tmp_path)
    assert "IA001,IA103" in _bash(["initadvisor", "check", "--select", "IA001,IA10"], env, tmp_path)
    assert "variance" in _bash(["initadvisor", "check", "--ignore", "va"], env, tmp_path)
    assert "sarif" in _bash(["initadvisor", "check", "--output-format", "s"], env, tmp_path)
    assert set(_bash(["initadvisor", "check", "t"], env, tmp_path)) == {"torchvision:", "timm:", "tiny.onnx"}
    assert "compopt default" in _bash(["initadvisor", "check", "x"], env, tmp_path)
    assert "vanishing-chain" in _bash(["initadvisor", "rule", "vani"], env, tmp_path)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed here")
def test_fish(env: dict[str, str], tmp_path: Path) -> None:
    def offered(line: str) -> list[str]:
        code = f"initadvisor completion fish | source; complete -C '{line}'"
        done = subprocess.run(
            ["fish", "--no-config", "-c", code],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.splitlines()

    assert offered("initadvisor che") == ["check\tCheck how the weights of a model start."]
    assert "IA103\tvanishing-chain" in offered("initadvisor check --select IA10")
    assert any(line.startswith("torchvision:\t") for line in offered("initadvisor check torchv"))


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed here")
def test_zsh(env: dict[str, str], tmp_path: Path) -> None:
    code = """
        autoload -Uz compinit && compinit -u -d "$HOME/dump"
        eval "$(initadvisor completion zsh)"
        _describe() { print -rl -- "${(@P)3}"; }  # only there while the line editor completes
        compadd() { : }
        words=(initadvisor check --select IA10); CURRENT=4
        _initadvisor_completion
        print -r -- "registered ${_comps[initadvisor]}"
    """
    done = subprocess.run(
        ["zsh", "-f", "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "IA103:vanishing-chain" in done.stdout.splitlines(), done.stderr
    assert "registered _initadvisor_completion" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_protocol_of_click(shell: str, env: dict[str, str], tmp_path: Path) -> None:
    words = {"COMP_WORDS": "initadvisor rule IA10", "COMP_CWORD": "IA10" if shell == "fish" else "2"}
    done = subprocess.run(
        ["initadvisor"],
        env={**env, **words, "_INITADVISOR_COMPLETE": f"{shell}_complete"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "IA103" in done.stdout
    assert done.stderr == ""


def test_the_offered_rules_are_those_that_the_engine_knows(env: dict[str, str], tmp_path: Path) -> None:
    offered = [line for line in _bash(["initadvisor", "check", "--select", "IA"], env, tmp_path) if line]
    assert offered == [rule.id for rule in discover(packs=False)]


def test_completing_imports_nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "__main__.py check --select IA1")
    monkeypatch.setenv("COMP_CWORD", "3")
    # Run as a module, the program is called after its interpreter; the variable is click's name for that.
    monkeypatch.setenv("_PYTHON _M INITADVISOR_COMPLETE", "bash_complete")
    names = {module.split(".")[0] for module in imported("check", "--select", "IA1")}
    assert "click" in names
    assert not {"torch", "onnx", "numpy", "pydantic", "rich", "jinja2", "cel_expr_python"} & names


def test_an_unknown_shell_is_an_error() -> None:
    done = run("completion", "tcsh")
    assert done.returncode == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.stderr
