"""Saved programs: TorchScript archives and `.pt2` files are read only with trust, and then like modules."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from initadvisor.errors import FormatError, NotFoundError, UnsafeError
from initadvisor.frontends import LoadOptions, load

TRUSTED = LoadOptions(allow_pickle=True)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(Net().eval(), (torch.randn(2, 3, 8, 8),)), path)
    return path


@pytest.fixture(params=["net.pt", "net.torchscript"])
def script(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / request.param
    torch.jit.script(Net()).save(str(path))
    return path


def test_programs_are_refused_without_trust(program: Path, script: Path) -> None:
    for path in (program, script):
        with pytest.raises(UnsafeError, match="program"):
            load(path)


def test_an_exported_program_is_recorded_with_its_parameters(program: Path) -> None:
    graph = load(program, TRUSTED)
    held = {graph.values[i].parameter for n in graph.nodes for i in n.inputs if i is not None}
    assert {n for n, p in graph.parameters.items() if not p.buffer} <= held
    assert {"conv", "relu", "linear"} <= {n.op for n in graph.nodes}
    assert {"conv.weight", "head.weight"} <= set(graph.parameters)
    assert graph.parameters["conv.weight"].source is not None


def test_a_script_is_recorded_with_its_parameters(script: Path) -> None:
    graph = load(script, LoadOptions(allow_pickle=True, input_shapes=((2, 3, 8, 8),)))
    assert graph.coverage.capture == "virtual", graph.coverage.notes
    assert {"conv", "batch_norm", "relu", "addmm"} <= {n.op for n in graph.nodes}
    held = {graph.values[i].parameter for n in graph.nodes for i in n.inputs if i is not None}
    assert {"conv.weight", "norm.weight", "head.weight"} <= held


def test_damaged_programs_are_format_errors(tmp_path: Path, script: Path) -> None:
    (tmp_path / "broken.pt2").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(FormatError):
        load(tmp_path / "broken.pt2", TRUSTED)
    cut = tmp_path / "cut.torchscript"
    cut.write_bytes(script.read_bytes()[:200])
    with pytest.raises(FormatError):
        load(cut, TRUSTED)
    with zipfile.ZipFile(tmp_path / "empty.torchscript", "w"):
        pass
    with pytest.raises(FormatError):
        load(tmp_path / "empty.torchscript", TRUSTED)
    with pytest.raises(NotFoundError):
        load(tmp_path / "absent.pt2", TRUSTED)
