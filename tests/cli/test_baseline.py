"""`initadvisor baseline`, and a check against one: known findings pass, new ones fail, nothing is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.models import mlp, poisoned
from tests.cli.running import here

FILE = "initadvisor-baseline.json"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    poisoned(tmp_path / "bad.onnx", depth=3)
    (tmp_path / "initadvisor.toml").write_text(f'baseline = "{FILE}"\n[targets.net]\ntarget = "bad.onnx"\n')
    return tmp_path


def _rows(project: Path) -> list[tuple[str, str]]:
    return [(row["target"], row["rule"]) for row in json.loads((project / FILE).read_text())["findings"]]


def test_known_findings_pass_and_new_ones_fail(project: Path) -> None:
    made = here("baseline", "create", cwd=project)
    assert (made.returncode, made.stdout) == (0, f"{FILE}: 1 finding of 1 target\n")
    assert _rows(project) == [("net", "IA001")]
    done = here("check", cwd=project)
    assert done.returncode == 0
    assert "No findings (1 in the baseline)." in done.stdout
    poisoned(project / "bad.onnx", gain=0.1)
    done = here("check", "--output-format=json", cwd=project)
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["summary"]["baselined"] == 1
    assert "IA001" not in {row["rule"] for row in report["findings"]}


def test_numbers_and_places_are_not_in_it(project: Path) -> None:
    here("baseline", "create", cwd=project)
    before = (project / FILE).read_bytes()
    poisoned(project / "bad.onnx", depth=3, seed=7)
    (project / "inner").mkdir()
    assert here("baseline", "create", "--force", cwd=project / "inner").returncode == 0
    assert (project / FILE).read_bytes() == before


def test_a_file_without_a_name_goes_by_its_place_beside_the_baseline(project: Path) -> None:
    (project / "initadvisor.toml").unlink()
    (project / "inner").mkdir()
    assert here("baseline", "create", "bad.onnx", cwd=project).returncode == 0
    assert _rows(project) == [("bad.onnx", "IA001")]
    done = here("check", "../bad.onnx", "--baseline", f"../{FILE}", cwd=project / "inner")
    assert done.returncode == 0


def test_prune_drops_what_is_gone_and_update_adds_what_is_new(project: Path) -> None:
    here("baseline", "create", cwd=project)
    mlp(project / "bad.onnx", depth=3, gain=0.01)
    pruned = here("baseline", "prune", cwd=project)
    assert (pruned.stdout, _rows(project)) == (f"{FILE}: 0 findings: 0 added, 1 dropped\n", [])
    assert here("baseline", "update", cwd=project).returncode == 0
    assert ("net", "IA001") not in _rows(project)
    assert _rows(project)
    assert here("check", "--fail-on=info", cwd=project).returncode == 0


@pytest.mark.parametrize("command", ["prune", "update"])
def test_what_was_not_judged_stays(project: Path, command: str) -> None:
    here("baseline", "create", cwd=project)
    mlp(project / "bad.onnx", depth=3)
    mlp(project / "other.onnx", depth=3)
    kept = here("baseline", command, "--select=IA1", cwd=project)
    assert (kept.returncode, _rows(project)) == (0, [("net", "IA001")])
    other = here("baseline", command, "other.onnx", cwd=project)
    assert other.stdout == f"{FILE}: 1 finding: 0 added, 0 dropped; 1 target in it not checked\n"


@pytest.mark.parametrize("command", ["prune", "update", "create"])
def test_nothing_is_written_where_a_target_cannot_be_read(project: Path, command: str) -> None:
    here("baseline", "create", cwd=project)
    before = (project / FILE).read_bytes()
    (project / "bad.onnx").write_bytes(b"broken")
    done = here("baseline", command, *(["--force"] if command == "create" else []), cwd=project)
    assert done.returncode == 2
    assert "left as it is" in done.stderr
    assert (project / FILE).read_bytes() == before


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here("baseline", "create", cwd=project)
    before, names = (project / FILE).read_bytes(), sorted(os.listdir(project))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    mlp(project / "bad.onnx", depth=3)
    done = here("baseline", "prune", cwd=project)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert (project / FILE).read_bytes() == before
    assert sorted(os.listdir(project)) == names


def test_a_link_to_a_baseline_stays_a_link(project: Path) -> None:
    here("baseline", "create", cwd=project)
    (project / FILE).rename(project / "shared.json")
    (project / FILE).symlink_to("shared.json")
    mlp(project / "bad.onnx", depth=3)
    assert here("baseline", "prune", cwd=project).returncode == 0
    assert (project / FILE).is_symlink()
    assert json.loads((project / "shared.json").read_text())["findings"] == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["baseline", "create"], 'exists ("initadvisor baseline update" brings it up to date, --force replaces it)'),
        (["check", "--baseline", "none.json"], "cannot read the baseline none.json"),
        (["check", "--baseline", "bad.onnx"], "bad.onnx is not a baseline"),
        (["baseline", "prune", "--baseline", "none.json"], "make it with: initadvisor baseline create"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_work(project: Path, args: list[str], said: str) -> None:
    here("baseline", "create", cwd=project)
    done = here(*args, cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
