"""`initadvisor fix --norm`: the norms of what a reference builds, and a clear no for a file."""

from __future__ import annotations

from pathlib import Path

from safetensors.numpy import load_file

from tests.cli.models import mlp
from tests.cli.running import run

FACTORY = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 36, 10))
"""


def test_the_state_of_the_other_norms_is_written(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(FACTORY)
    done = run(
        "fix", "nets:build", "--norm", "group", "--input-shape", "4x3x8x8", "-o", "out.safetensors", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "1 batch norms became group" in done.stderr
    state = load_file(tmp_path / "out.safetensors")
    assert "1.running_mean" not in state
    assert state["1.weight"].shape == (32,)


def test_a_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    mlp(tmp_path / "m.onnx", gain=1.0, depth=3)
    done = run("fix", "m.onnx", "--norm", "frozen", cwd=tmp_path)
    assert done.returncode == 2
    assert "convert_norms" in done.stderr
    assert not (tmp_path / "m.fixed.onnx").exists()
