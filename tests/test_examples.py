"""Every example runs and shows what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import ROOT, environment, run

EXAMPLES = ROOT / "examples"
CLAIM = re.compile(r"^initadvisor (check examples\S+)\s+#.*exit code (\d)", re.M)
CLAIMS = [
    (match[1], int(match[2])) for file in sorted(EXAMPLES.glob("*.py")) for match in CLAIM.finditer(file.read_text())
]


@pytest.mark.parametrize(("command", "code"), CLAIMS, ids=[command for command, _ in CLAIMS])
def test_a_command_in_an_example_does_what_it_says(command: str, code: int) -> None:
    done = run(*command.split(), "--output-format", "concise", cwd=ROOT)
    assert done.returncode == code, done.stderr
    assert ("IA103 error" in done.stdout) == (code == 1)


def python(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """An example run as a program."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_checking_from_code_names_the_spoiled_layer(tmp_path: Path) -> None:
    done = python("check_in_code.py", tmp_path)
    assert done.returncode == 1, done.stderr
    errors = [line for line in done.stdout.splitlines() if " error " in line]
    assert len(errors) == 1
    assert "features.3" in errors[0]


def test_dormant_units_are_woken_and_the_network_learns(tmp_path: Path) -> None:
    done = python("advise_and_revive.py", tmp_path)
    assert done.returncode == 0, done.stderr
    dormant = [int(count) for count in re.findall(r"(\d+) dormant units", done.stdout)]
    assert dormant[0] > 10
    assert dormant[1] < dormant[0] / 2
    assert float(done.stdout.split()[-1]) > 0.9


def test_every_example_is_run_by_a_test() -> None:
    run_here = {command.split(".")[1].split(":")[0] for command, _ in CLAIMS} | {"check_in_code", "advise_and_revive"}
    assert {file.stem for file in EXAMPLES.glob("*.py")} == run_here
