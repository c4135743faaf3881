"""Every shell command of the README and the documentation runs as it is printed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.running import environment, here
from tests.docs.blocks import PAGES, bare, blocks, commands

EXCEPTIONS = {
    "pip install": "needs the package registry; the continuous integration installs the wheel in a fresh environment",
    "python3 -m venv": "the continuous integration runs these two as printed, in a fresh clone",
    "mkdocs serve": "runs until it is stopped; test_site.py builds the same pages",
    "initadvisor serve": "runs until it is stopped; the tests of the service start it",
    "torchrun": "several processes; tests/probe runs the same over gloo",
    "docker": "needs a container engine",
    "pre-commit": "clones the hook's repository",
    "curl": "talks to a service that runs",
    'eval "$(initadvisor completion': "tests/cli/test_completion.py does this in the shells themselves",
}
"""How a command begins, and why it is not run here."""

MODULE = """
import torch
from torch import nn


def factory():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))


def digits_net():
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def loader():
    return [(torch.randn(8, 3, 16, 16), torch.arange(8)) for _ in range(4)]
"""


def _exempt(command: str) -> bool:
    return any(command.startswith(start) for start in EXCEPTIONS)


def _runnable(page: Path) -> list[str]:
    return [command for command in commands(page) if not _exempt(command)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the pages take for granted: model files, and a package with a factory."""
    import numpy as np
    from safetensors.numpy import save_file

    _conv_net(tmp_path / "model.onnx")
    weight = np.random.default_rng(0).normal(0.0, 0.25, (32, 16)).astype(np.float32)
    save_file({"fc.weight": weight, "fc.bias": np.zeros(32, np.float32)}, tmp_path / "model.safetensors")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").touch()
    (tmp_path / "package/module.py").write_text(MODULE)
    (tmp_path / "rules/variance").mkdir(parents=True)
    _data(tmp_path)
    np.save(tmp_path / "labels.npy", np.arange(64) % 10)
    _conv_net(tmp_path / "detector.onnx")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def _data(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("train", "val"):
        np.savez(folder / f"{name}.npz", x=rng.normal(size=(64, 8)), y=np.arange(64) % 10)
        for number in range(4):
            (folder / "images" / name / "cat").mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / "cat" / f"{number}.png")


def _conv_net(path: Path) -> None:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    tensors = [
        numpy_helper.from_array(rng.normal(0, (2 / 27) ** 0.5, (16, 3, 3, 3)).astype(np.float32), "conv1.weight"),
        numpy_helper.from_array(rng.normal(0, (1 / 1024) ** 0.5, (10, 1024)).astype(np.float32), "head.weight"),
        numpy_helper.from_array(np.zeros(10, np.float32), "head.bias"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "conv1.weight"], ["a"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "head.weight", "head.bias"], ["y"], name="head", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 10])],
        tensors,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "tutorial.md"], ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page: Path, folder: Path) -> None:
    for block in blocks(page):
        if block.language == "toml" and "targets" in tomllib.loads(block.text) and page.name == "getting-started.md":
            (folder / "initadvisor.toml").write_text(block.text)
    for command in _runnable(page):
        if page.name == "configuration.md" and not (folder / "initadvisor.toml").exists():
            (folder / "initadvisor.toml").write_text('targets = ["model.onnx"]\nbaseline = "known.json"\n')
        done = _run(command, folder)
        # 0 and 1 are answers; 2 would mean that the command as printed is wrong.
        assert done.returncode in (0, 1), f"{command}\n{done.stderr}"
        assert "Traceback" not in done.stderr, f"{command}\n{done.stderr}"


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = bare(command)
    if words[0] == "initadvisor" and not set("|<>&;$`") & set(command.partition("#")[0]):
        sys.modules.pop("package.module", None)
        with contextlib.redirect_stdout(sys.stderr):
            return here(*words[1:], cwd=folder)
    program = folder / "bin/initadvisor"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!{sys.executable}\nfrom initadvisor.cli import main\nmain()\n")
    program.chmod(0o755)
    env = environment()
    env["PATH"] = os.pathsep.join((str(program.parent), str(Path(sys.executable).parent), env["PATH"]))
    return subprocess.run(
        ["bash", "-c", command], env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_exception_is_used_by_some_page_or_kept_for_the_reason_given() -> None:
    printed = [command for page in PAGES for command in commands(page)]
    assert printed
    unused = [start for start in EXCEPTIONS if not any(command.startswith(start) for command in printed)]
    assert not set(unused) - {"docker", "pre-commit", "curl", "initadvisor serve"}


def test_commands_in_prose_name_real_commands() -> None:
    """`initadvisor NAME` inside backticks, anywhere: the name is one that the command line has."""
    import re

    from initadvisor.cli.main import LazyGroup, cli

    assert isinstance(cli, LazyGroup)
    known = set(cli.list_commands(None))  # type: ignore[arg-type]
    for page in PAGES:
        for name in re.findall(r"`initadvisor ([a-z]+)", page.read_text(encoding="utf-8")):
            assert name in known, f"{page.name}: initadvisor {name}"
