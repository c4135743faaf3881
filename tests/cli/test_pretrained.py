"""`initadvisor pretrained` as a process."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.cli.running import here, run

MODULE = """
from torch import nn


def net():
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 5))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MODULE)
    generator = np.random.default_rng(0)
    sizes = {"0": (32, 12), "2": (32, 32), "4": (7, 32)}
    held = {}
    for name, shape in sizes.items():
        held[f"module.{name}.weight"] = generator.standard_normal(shape).astype("f4")
        held[f"module.{name}.bias"] = np.zeros(shape[0], "f4")
    save_file(held, tmp_path / "good.safetensors")
    save_file({n: v for n, v in held.items() if ".2." not in n}, tmp_path / "half.safetensors")
    return tmp_path


def test_a_checkpoint_is_applied_and_written(folder: Path) -> None:
    file = folder / "good.safetensors"
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    done = run("pretrained", "mine:net", "--apply", file.name, "-o", "out.safetensors", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "complete, 100.0% of the backbone" in done.stdout
    assert "drawn anew: 2" in done.stdout
    written, given = load_file(folder / "out.safetensors"), load_file(file)
    assert np.array_equal(written["2.weight"], given["module.2.weight"])
    assert written["4.weight"].shape == (5, 32)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before


def test_half_a_checkpoint_exits_with_1_and_writes_nothing(folder: Path) -> None:
    words = ("--apply", "half.safetensors", "-o", "o.safetensors", "--output-format", "json")
    done = here("pretrained", "mine:net", *words, cwd=folder)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["verdict"], report["written"]) == ("partial", False)
    assert [row["name"] for row in report["missing"]] == ["2.weight", "2.bias"]
    assert not (folder / "o.safetensors").exists()


def test_the_registry_is_printed_for_a_name(tmp_path: Path) -> None:
    words = ("--output-format", "json", "--domain", "medical")
    done = here("pretrained", "torchvision:resnet18", *words, cwd=tmp_path)
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["recognised"][0]["architecture"] == "resnet18"
    [weights] = report["weights"]
    assert weights["classes"] == 1000
    assert weights["accuracy"]["ImageNet-1K acc@1"] == pytest.approx(69.758)
    assert weights["preprocessing"]["mean"] == [0.485, 0.456, 0.406]
    assert any("RadImageNet" in each["name"] for advice in report["advice"] for each in advice["weights"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model.safetensors", "--apply", "good.safetensors"), "cannot be loaded into model.safetensors"),
        (("mine:net", "-o", "x.safetensors"), "--output-file is the result of --apply"),
        (("good.safetensors", "--domain", "medicine"), 'there is no domain "medicine"'),
    ],
)
def test_what_makes_no_sense_is_one_line(folder: Path, words: tuple[str, ...], said: str) -> None:
    done = here("pretrained", *words, cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_checkpoint_is_never_the_output(folder: Path) -> None:
    before = (folder / "good.safetensors").read_bytes()
    done = run("pretrained", "mine:net", "--apply", "good.safetensors", "-o", "good.safetensors", "--force", cwd=folder)
    assert done.returncode == 2
    assert "never changed" in done.stderr
    assert (folder / "good.safetensors").read_bytes() == before


def test_a_claim_is_held_against_the_fingerprint(folder: Path) -> None:
    words = ("good.safetensors", "--select", "IA7", "--output-format", "json")
    plain = here("check", *words, cwd=folder)
    assert json.loads(plain.stdout)["findings"] == []
    claimed = here("check", *words, "--expect", "pretrained", cwd=folder)
    assert claimed.returncode == 1
    assert [finding["rule"] for finding in json.loads(claimed.stdout)["findings"]] == ["IA701"]
    (folder / "initadvisor.toml").write_text(
        '[targets.net]\ntarget = "good.safetensors"\nexpect = "pretrained"\nclasses = 7\n'
    )
    configured = here("check", "net", "--select", "IA7", "--output-format", "json", cwd=folder)
    assert [finding["rule"] for finding in json.loads(configured.stdout)["findings"]] == ["IA701"]
