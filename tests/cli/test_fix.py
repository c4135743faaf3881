"""`initadvisor fix`: a new file that is clean, the same bits each time, the original as it was."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

from initadvisor.initializers import InitSpec
from initadvisor.plan import Plan, PlanStep
from tests.cli.models import mlp
from tests.cli.running import here, imported, run

FACTORY = """
from tests.integration.faults import xavier_stack

def tied():
    import torch
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8))
    model[2].weight = model[0].weight
    return model
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a broken ONNX file and a module of factories."""
    mlp(tmp_path / "m.onnx", gain=1.0, depth=30)
    (tmp_path / "nets.py").write_text(FACTORY)
    return tmp_path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tensors(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("options", [[], ["--only-flagged"]])
def test_a_broken_file_is_clean_after_a_fix_and_the_original_is_as_it_was(folder: Path, options: list[str]) -> None:
    before = digest(folder / "m.onnx")
    assert here("check", "m.onnx", cwd=folder).returncode == 1
    done = run("fix", "m.onnx", *options, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("parameters drawn anew, seed 0; written to m.fixed.onnx\n")
    assert here("check", "m.fixed.onnx", "--fail-on", "warning", cwd=folder).returncode == 0
    assert digest(folder / "m.onnx") == before
    assert sorted(p.name for p in folder.iterdir() if p.is_file()) == ["m.fixed.onnx", "m.onnx", "nets.py"]


FAULTS = {
    "nan": lambda w: np.where(np.arange(w.size).reshape(w.shape) == 7, np.nan, w),
    "x10": lambda w: 10 * w,
    "x0.1": lambda w: 0.1 * w,
    "zeroed": np.zeros_like,
    "constant": lambda w: np.full_like(w, 0.05),
    "identical-filters": lambda w: np.repeat(w[:1], len(w), axis=0),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("options", [[], ["--only-flagged"]])
def test_every_planted_fault_of_a_file_is_gone_after_a_fix(tmp_path: Path, fault: str, options: list[str]) -> None:
    path = mlp(tmp_path / "m.onnx", depth=6)
    model = onnx.load(path)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "fc2.weight")
    broken = FAULTS[fault](numpy_helper.to_array(weight)).astype(np.float32)
    weight.CopyFrom(numpy_helper.from_array(broken, weight.name))
    onnx.save(model, path)
    assert here("check", "m.onnx", "--fail-on", "warning", cwd=tmp_path).returncode == 1
    assert here("fix", "m.onnx", *options, cwd=tmp_path).returncode == 0
    done = here("check", "m.fixed.onnx", "--fail-on", "warning", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert here("fix", "m.fixed.onnx", "-o", "again.onnx", cwd=tmp_path).returncode == 0
    if not options:
        assert digest(tmp_path / "again.onnx") == digest(tmp_path / "m.fixed.onnx")


def test_a_fix_is_the_same_bits_each_time_and_on_its_own_result(folder: Path) -> None:
    assert run("fix", "m.onnx", "-o", "a.onnx", cwd=folder).returncode == 0  # in a process of its own
    for source, out in (("m.onnx", "b.onnx"), ("a.onnx", "c.onnx")):
        assert here("fix", source, "-o", out, cwd=folder).returncode == 0
    assert here("fix", "m.onnx", "-o", "d.onnx", "--seed", "1", cwd=folder).returncode == 0
    assert digest(folder / "a.onnx") == digest(folder / "b.onnx") == digest(folder / "c.onnx")
    assert digest(folder / "a.onnx") != digest(folder / "d.onnx")


def test_the_command_that_a_report_gives_does_what_it_says(folder: Path) -> None:
    (folder / "a folder").mkdir()
    os.rename(folder / "m.onnx", folder / "a folder" / "m.onnx")
    for target, shape in (("a folder/m.onnx", []), ("nets:xavier_stack", ["--input-shape", "2x64"])):
        done = run("check", target, *shape, "--output-format", "json", cwd=folder)
        report = json.loads(done.stdout)
        report = report[0] if isinstance(report, list) else report
        commands = {finding["fix"]["command"] for finding in report["findings"]}
        assert len(commands) == 1
        command = commands.pop()
        words = shlex.split(command)
        assert words[:4] == ["initadvisor", "fix", target, "--only-flagged"]
        assert run(*words[1:], cwd=folder).returncode == 0
    assert (folder / "a folder" / "m.fixed.onnx").exists()
    assert here("check", "a folder/m.fixed.onnx", cwd=folder).returncode == 0


def test_a_state_dict_cannot_be_fixed_and_no_report_says_so(folder: Path) -> None:
    save_file({"a.weight": np.full((64, 64), np.nan, np.float32)}, folder / "m.safetensors")
    done = here("fix", "m.safetensors", cwd=folder)
    assert done.returncode == 2
    assert "cannot be fixed" in done.stderr
    shown = here("check", "m.safetensors", "--output-format", "json", cwd=folder)
    assert shown.returncode == 1
    assert "initadvisor fix" not in shown.stdout


def test_a_reference_gives_the_state_dict_that_loads_again(folder: Path) -> None:
    (folder / "after.py").write_text(
        FACTORY + "\ndef fixed():\n    from safetensors.torch import load_file\n    model = xavier_stack()\n"
        "    model.load_state_dict(load_file('xavier_stack.fixed.safetensors'))\n    return model\n"
    )
    for factory in ("xavier_stack", "tied"):
        assert run("fix", f"nets:{factory}", cwd=folder).returncode == 0
    tied = load_file(folder / "tied.fixed.safetensors")
    assert np.array_equal(tied["0.weight"], tied["2.weight"])
    assert run("check", "after:fixed", "--input-shape", "2x64", "--fail-on", "warning", cwd=folder).returncode == 0


def test_diff_shows_before_and_after_and_writes_nothing(folder: Path) -> None:
    done = here("fix", "m.onnx", "--diff", cwd=folder)
    assert (done.returncode, done.stderr) == (1, "")
    assert sorted(p.name for p in folder.iterdir() if p.is_file()) == ["m.onnx", "nets.py"]
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("    fc3.weight "))
    assert here("fix", "m.onnx", cwd=folder).returncode == 0
    old, new = tensors(folder / "m.onnx")["fc3.weight"], tensors(folder / "m.fixed.onnx")["fc3.weight"]
    for place, statistic in ((2, np.mean), (6, np.std)):
        assert [float(row[place]), float(row[place + 2])] == pytest.approx(
            [float(statistic(t, dtype=np.float64)) for t in (old, new)], rel=1e-3
        )


def test_nothing_to_do_writes_nothing(tmp_path: Path) -> None:
    mlp(tmp_path / "good.onnx")
    for options in ([], ["--diff"]):
        done = here("fix", "good.onnx", "--only-flagged", *options, cwd=tmp_path)
        assert done.returncode == 0
        assert "0 of 20 parameters drawn anew" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["good.onnx"]


def test_a_plan_from_a_file_is_followed(folder: Path) -> None:
    (folder / "initadvisor.toml").write_text('[policy]\n"fc0.*" = "keep"\n"fc29.*" = {method = "zeros"}\n')
    assert here("advise", "m.onnx", "--emit", "json", "--output-file", "plan.json", cwd=folder).returncode == 0
    (folder / "initadvisor.toml").unlink()
    assert here("fix", "m.onnx", "--plan", "plan.json", cwd=folder).returncode == 0
    old, new = tensors(folder / "m.onnx"), tensors(folder / "m.fixed.onnx")
    assert np.array_equal(old["fc0.weight"], new["fc0.weight"])
    assert not new["fc29.weight"].any()
    assert not np.array_equal(old["fc1.weight"], new["fc1.weight"])


def test_what_has_learned_is_left_alone_unless_asked(tmp_path: Path) -> None:
    path = mlp(tmp_path / "m.onnx", depth=4)
    model = onnx.load(path)
    generator = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        shape = tuple(tensor.dims)
        learned = generator.standard_t(3, shape) * 0.05
        if len(shape) == 2:
            learned += generator.normal(size=(64, 4)) @ generator.normal(size=(4, 64)) * 0.2
        tensor.CopyFrom(numpy_helper.from_array(learned.astype(np.float32), tensor.name))
    onnx.save(model, path)
    careful = here("fix", "m.onnx", cwd=tmp_path)
    assert "0 of 8 parameters drawn anew" in careful.stdout
    assert not (tmp_path / "m.fixed.onnx").exists()
    bold = here("fix", "m.onnx", "--allow-trained", cwd=tmp_path)
    assert "8 of 8 parameters drawn anew" in bold.stdout
    shown = here("advise", "m.onnx", "--allow-trained", cwd=tmp_path)
    assert "what it has learned is lost" in shown.stdout


def test_a_file_that_is_there_is_replaced_only_by_force(folder: Path) -> None:
    (folder / "m.fixed.onnx").write_text("mine")
    refused = here("fix", "m.onnx", cwd=folder)
    assert (refused.returncode, (folder / "m.fixed.onnx").read_text()) == (2, "mine")
    assert "--force replaces it" in refused.stderr
    assert here("fix", "m.onnx", "--force", cwd=folder).returncode == 0
    onnx.checker.check_model(folder / "m.fixed.onnx")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["m.onnx", "-o", "m.onnx", "--force"], "is the model itself, which is never changed"),
        (["m.onnx", "-o", "link.onnx", "--force"], "is the model itself, which is never changed"),
        (["m.onnx", "-o", "m.safetensors"], "name a .onnx file"),
        (["m.onnx", "-o", "no/where.onnx"], "the folder no does not exist"),
        (["m.onnx", "-o", "dir.onnx"], "is a directory"),
        (["nets:xavier_stack", "-o", "x.onnx"], "name a .safetensors file"),
        (["nets:nothing"], "'nets' has no 'nothing'"),
        (["missing.onnx"], "missing.onnx"),
        (["m.onnx", "--plan", "missing.json"], "cannot read the plan missing.json"),
        (["m.onnx", "--plan", "nets.py"], "nets.py: this is not a plan"),
        (["m.onnx", "--plan", "other.json"], "which m.onnx does not have"),
        (["m.onnx", "--plan", "other.json", "--preset", "gpt"], "give one of them"),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_writes_nothing(folder: Path, args: list[str], said: str) -> None:
    (folder / "link.onnx").symlink_to(folder / "m.onnx")
    (folder / "dir.onnx").mkdir()
    step = PlanStep("other0.weight", (64, 64), "float32", InitSpec("zeros"), "for a test")
    (folder / "other.json").write_text(json.dumps(Plan("other.onnx", (step,)).to_json()))
    before, names = digest(folder / "m.onnx"), {p.name for p in folder.iterdir()} | {"__pycache__"}
    start = run if args[0].startswith("nets:") else here
    done = start("fix", *args, cwd=folder)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert digest(folder / "m.onnx") == before
    assert {p.name for p in folder.iterdir()} <= names


def test_a_fix_of_an_onnx_file_brings_no_torch(folder: Path) -> None:
    names = {module.split(".")[0] for module in imported("fix", "m.onnx", cwd=folder)}
    assert "onnx" in names
    assert "torch" not in names


def test_a_fix_without_a_forward_pass_says_what_it_does_not_know(folder: Path) -> None:
    source = "import torch\n\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    source += (
        "        self.a = torch.nn.Linear(4, 4)\n\n    def forward(self, x):\n        raise RuntimeError('away')\n"
    )
    (folder / "raising.py").write_text(source)
    done = run("fix", "raising:Net", "-o", "net.safetensors", cwd=folder)
    assert done.returncode == 0
    assert done.stderr.startswith("warning: the forward pass raised RuntimeError: away at ")
    assert done.stderr.endswith(": advised without activations, depth and residual branches\n")
