"""`initadvisor probe` as a process."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import run

MODELS = """
import torch
from torch import nn

def healthy():
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))

def dead():
    model = healthy()
    nn.init.constant_(model[0].bias, -20.0)
    return model
"""


def test_exit_codes_and_formats(tmp_path: Path) -> None:
    (tmp_path / "zoo.py").write_text(MODELS)
    clean = run("probe", "zoo:healthy", "--input-shape", "8x16", cwd=tmp_path)
    assert (clean.returncode, clean.stderr) == (0, "")
    assert "No findings" in clean.stdout
    assert "standard normal numbers, seed 0" in " ".join(clean.stdout.split())
    found = run("probe", "zoo:dead", "--input-shape", "8x16", "--output-format", "json", "--seeds", "2", cwd=tmp_path)
    assert found.returncode == 1
    (report,) = json.loads(found.stdout) if found.stdout.startswith("[") else (json.loads(found.stdout),)
    assert {"IA603", "IA615"} <= {f["rule"] for f in report["findings"]}
    assert report["probe"]["seeds"] == 2
    assert all("synthetic" in f["message"] for f in report["findings"])
    ignored = run("probe", "zoo:dead", "--input-shape", "8x16", "--ignore", "IA6", "--select", "IA601", cwd=tmp_path)
    assert ignored.returncode in (0, 2)


def test_what_cannot_be_probed_exits_with_2_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    for arguments in (("model.onnx",), ("zoo:missing",), (), ("torchvision:resnet18", "--steps", "1")):
        done = run("probe", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr


def test_a_check_says_nothing_of_rules_that_need_a_probe_unless_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "zoo.py").write_text(MODELS)
    plain = json.loads(run("check", "zoo:healthy", "--output-format", "jsonl", cwd=tmp_path).stdout)
    assert not [row for row in plain["not_evaluated"] if row["rule"].startswith("IA6")]
    named = run("check", "zoo:healthy", "--select", "ALL,IA601", "--output-format", "jsonl", "--strict", cwd=tmp_path)
    assert named.returncode == 2
    rows = json.loads(named.stdout)["not_evaluated"]
    assert [row["reason"] for row in rows if row["rule"] == "IA601"] == ["no probe was run"]
