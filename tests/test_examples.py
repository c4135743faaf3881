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


def python(name: str, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """An example run as a program."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *args],
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


ACCURACY = re.compile(r"^(\w+) +(\d+\.\d)%", re.M)


def accuracies(text: str) -> list[dict[str, float]]:
    """Of each comparison that an example printed: initialization -> held-out accuracy in percent."""
    tables = re.split(r"^\d+ layers of ", text, flags=re.M)[1:]
    return [{name: float(value) for name, value in ACCURACY.findall(table)} for table in tables]


def compared(name: str, folder: Path) -> list[dict[str, float]]:
    """The short form of an example, with pictures."""
    done = python(name, folder, "--short", "--pictures", "pictures")
    assert done.returncode == 0, done.stderr
    pictures = sorted((folder / "pictures").glob("*.svg"))
    found = accuracies(done.stdout)
    assert len(pictures) == 4 * len(found)
    assert all(picture.stat().st_size < 200_000 for picture in pictures)
    return found


def test_he_learns_where_xavier_and_the_default_do_not_on_deep_relu(tmp_path: Path) -> None:
    relu, tanh = compared("xavier_vs_he.py", tmp_path)
    assert relu["he"] > 80
    assert max(relu["xavier"], relu["default"]) < 50
    assert min(tanh["he"], tanh["xavier"]) > 80
    assert tanh["default"] < 50


def test_orthogonal_learns_where_the_default_does_not_on_deep_tanh(tmp_path: Path) -> None:
    (found,) = compared("orthogonal_vs_default.py", tmp_path)
    assert found["orthogonal"] > 85
    assert found["default"] < 50


def test_batch_norm_brings_a_bad_start_along(tmp_path: Path) -> None:
    off, on = compared("batch_norm.py", tmp_path)
    assert off["default"] < 50
    assert min(on.values()) > 75


def test_every_example_is_run_by_a_test() -> None:
    run_here = {command.split(".")[1].split(":")[0] for command, _ in CLAIMS} | {"check_in_code", "advise_and_revive"}
    run_here |= {"xavier_vs_he", "orthogonal_vs_default", "batch_norm"}
    assert {file.stem for file in EXAMPLES.glob("*.py")} == run_here
