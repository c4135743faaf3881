"""`initadvisor compare` as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from initadvisor.compare.model import Comparison
from tests.cli.running import environment, here, imported, run

MODELS = """
from torch import nn

def net():
    print("building")
    layers = [nn.Linear(64, 32), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Linear(32, 32), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(32, 10))

class Talking(nn.Linear):
    passes = 0
    def forward(self, x):
        self.passes += 1
        if self.passes == 100:
            print("training", flush=True)
        return super().forward(x)

def talking():
    return Talking(64, 10)

def small():
    return nn.Linear(3, 2)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "zoo.py").write_text(MODELS)
    return tmp_path


def test_formats_go_where_they_are_sent(folder: Path) -> None:
    done = run(
        "compare", "zoo:net", "--inits", "he,xavier,orthogonal:gain=1.4", "--steps", "20", "--lr", "0.01,0.03",
        "--output-format", "full", "--output-format", "json:out.json", "--output-format", "html:out.html", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "building\n"
    found = Comparison.model_validate_json((folder / "out.json").read_text())
    assert {result.name for result in found.inits} == {"he", "xavier", "orthogonal:gain=1.4"}
    assert found.setup.learning_rates == (0.01, 0.03)
    assert found.conclusion in " ".join(done.stdout.split())
    assert (folder / "out.html").read_text().startswith("<!doctype html>")


def test_a_file_of_arrays(folder: Path) -> None:
    x = np.random.default_rng(0).normal(size=(80, 3))
    np.savez(folder / "data.npz", x=x, y=(x[:, 0] > 0).astype(int))
    done = run(
        "compare", "zoo:small", "--data", "data.npz", "--inits", "default,zeros", "--steps", "60", "--lr", "0.1",
        "--seeds", "2", "--output-format", "json", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["schema_version"], found["data"]["name"]) == ("1", "data.npz")
    assert found["setup"]["seeds"] == [0, 1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("zoo:net", "--inits", "xaviar"),
        ("zoo:net", "--data", "nothing"),
        ("zoo:net", "--lr", "fast"),
        ("zoo:net", "--lr", "-1"),
        ("zoo:net", "--input-shape", "8xx8"),
        ("zoo:net", "--output-format", "sarif"),
        ("zoo:net", "--output-format", "html:missing/out.html"),
        ("zoo:net", "--output-format", "json", "--output-format", "html"),
        ("model.onnx",),
    ],
)
def test_what_is_asked_for_wrongly_exits_with_2_and_one_line(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "model.onnx").write_bytes(b"")
    refused(here("compare", *arguments, "--steps", "2", cwd=folder))


@pytest.mark.parametrize("arguments", [("zoo:small",), ("zoo:missing",)])
def test_what_cannot_be_compared_exits_with_2_and_one_line(folder: Path, arguments: tuple[str, ...]) -> None:
    refused(run("compare", *arguments, "--steps", "2", cwd=folder))


def refused(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    said = done.stderr.replace("building\n", "")
    assert said.startswith("error: ")
    assert said.count("\n") == 1, done.stderr


def test_help_imports_no_torch() -> None:
    assert not {"torch", "sklearn", "pydantic", "numpy"} & imported("compare", "--help")


@pytest.mark.skipif(os.name != "posix", reason="an interrupt is sent by its signal")
def test_ctrl_c_prints_what_was_done_and_exits_with_130(folder: Path) -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "initadvisor", "compare", "zoo:talking", "--inits", "he,xavier", "--steps", "100000",
         "--lr", "0.01", "--output-format", "json"],
        cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A background job of a shell is started deaf to interrupts, and so are its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        assert started.stderr is not None
        assert "training\n" in iter(started.stderr.readline, "")  # the model says so at its hundredth pass
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == 130, err
    found = json.loads(out)
    assert found["interrupted"] is True
    assert {result["status"] for result in found["inits"]} == {"interrupted", "not_run"}
