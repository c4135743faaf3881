"""The tutorial, block by block in a folder of its own: its files are written, its commands run, its output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import environment
from tests.docs.blocks import ROOT, blocks

PAGE = ROOT / "docs/tutorial.md"
FAILS = "initadvisor check digits_net:broken"
"""The one command that is to find something, and so leaves with 1."""


@pytest.mark.timeout(900)  # seven processes, each of which starts torch, on a machine that may be busy
def test_the_tutorial_ends_with_a_net_that_learns(tmp_path: Path) -> None:
    env = _env(tmp_path)
    said: dict[str, str] = {}
    last = ""
    for block in blocks(PAGE):
        if block.language == "python":
            name = re.match(r"# (\w+\.py)\n", block.text)
            assert name, "a Python block of the tutorial begins with the name of its file"
            (tmp_path / name[1]).write_text(block.text)
        elif block.language == "sh" and not block.text.startswith("pip install"):
            last = block.text.strip()
            done = subprocess.run(
                ["bash", "-c", last], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=280, check=False
            )
            assert done.returncode == (1 if last == FAILS else 0), f"{last}\n{done.stdout}\n{done.stderr}"
            said[last] = done.stdout
        elif block.language == "text":
            assert _shape(said[last]) == _shape(block.text), last
    before, after = (_share(said[f"python train.py {net}"]) for net in ("broken", "fixed"))
    assert before < 0.3
    assert after > 0.8


def _env(folder: Path) -> dict[str, str]:
    """Where `python` and `initadvisor` are those of this run."""
    programs = folder / "bin"
    programs.mkdir()
    start = f"#!/bin/sh\nexec '{sys.executable}' "
    for name, rest in (("python", '"$@"'), ("initadvisor", '-m initadvisor "$@"')):
        program = programs / name
        program.write_text(f"{start}{rest}\n")
        program.chmod(0o755)
    found = environment()
    return {
        **found,
        "PATH": os.pathsep.join((str(programs), found["PATH"])),
        "PYTHONPATH": os.pathsep.join((str(folder), found["PYTHONPATH"])),
    }


def _shape(output: str) -> str:
    """The output without its figures and curves, which differ in the last digit between versions of torch."""
    return re.sub(r"[\u2581-\u2588.]+|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", "#", " ".join(output.split()))


def _share(said: str) -> float:
    found = re.search(r"(\d+)% of the digits", said)
    assert found, said
    return int(found[1]) / 100
