"""Every block of Python in docs/integrations.md runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import ROOT, environment

PAGE = (ROOT / "docs" / "integrations.md").read_text()
SECTIONS = {part.splitlines()[0]: part for part in PAGE.split("\n## ")[1:]}
BLOCKS = {name: re.findall(r"^```python\n(.*?)^```", part, re.M | re.S) for name, part in SECTIONS.items()}
SCRIPTS = {name: blocks for name, blocks in BLOCKS.items() if blocks and name != "pytest"}


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=280, check=False
    )


def test_its_scripts_run(tmp_path: Path) -> None:
    """One after the other in one process, which has to load torch only once."""
    assert set(SCRIPTS) == {
        "Lightning",
        "Hugging Face",
        "A training loop of your own",
        "TensorBoard, MLflow, Weights & Biases",
    }
    for number, blocks in enumerate(SCRIPTS.values()):
        assert len(blocks) == 1
        (tmp_path / f"part{number}.py").write_text(blocks[0])
    runner = "import runpy\n" + "".join(f"runpy.run_path('part{n}.py')\n" for n in range(len(SCRIPTS)))
    done = python("-c", runner, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "clean" in done.stdout
    assert "Sequential: no findings" in done.stdout
    assert (tmp_path / "initadvisor.json").is_file()
    assert list((tmp_path / "runs" / "one").iterdir())


def test_its_tests_pass(installed: pytest.Pytester) -> None:
    (block,) = BLOCKS["pytest"]
    installed.makepyfile(block)
    installed.runpytest_subprocess().assert_outcomes(passed=2)


def test_what_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\((\.\./[^)]+)\)", PAGE):
        assert (ROOT / "docs" / target).is_file(), target
