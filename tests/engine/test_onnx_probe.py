"""A probe of ONNX files: the faults that a probe of the module finds, under the names of the file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.report import Report
from tests.cli.running import run
from tests.integration.light_graphs import filled


def stack(depth: int, gain: float) -> nn.Sequential:
    """Tanh layers at a gain, and a head."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(32, 32), nn.Tanh()]
        nn.init.normal_(layers[-2].weight, std=gain / 32**0.5)  # type: ignore[arg-type]
        nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers, nn.Linear(32, 4))


class Reader(nn.Module):
    """Tokens, an LSTM and a head: an export fixes the batch of its initial state."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(50, 16), nn.LSTM(16, 24, batch_first=True), nn.Linear(24, 50)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.embed(ids))[0])


def exported(module: nn.Module, example: torch.Tensor, path: Path, dynamo: bool = False) -> Path:
    """An ONNX file made by one of torch's exporters."""
    torch.onnx.export(module.eval(), (example,), str(path), dynamo=dynamo, verbose=False)
    return path


def errors(report: Report) -> set[str]:
    """The rules that fired as errors."""
    return {finding.rule for finding in report.findings if finding.severity == "error"}


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_vanishing_stack_is_found_under_the_names_of_the_file_and_its_healthy_twin_is_silent(
    tmp_path: Path, dynamo: bool
) -> None:
    sick = exported(stack(24, 0.25), torch.randn(4, 32), tmp_path / "sick.onnx", dynamo)
    before = hashlib.sha256(sick.read_bytes()).hexdigest()
    report = initadvisor.probe(sick)
    assert "IA610" in errors(report)
    [said] = [finding.message for finding in report.findings if finding.rule == "IA610"]
    assert said.startswith("the gradient at 0 is ")
    assert " of the one at 46, and " in said
    assert hashlib.sha256(sick.read_bytes()).hexdigest() == before
    twin = exported(stack(24, 1.0), torch.randn(4, 32), tmp_path / "twin.onnx", dynamo)
    assert not errors(initadvisor.probe(twin))


def test_the_file_and_the_module_say_the_same(tmp_path: Path) -> None:
    module = stack(24, 0.4)
    there = initadvisor.probe(exported(module, torch.randn(4, 32), tmp_path / "m.onnx"))
    here = initadvisor.probe(module, input_shape=(8, 32))
    assert {(f.rule, f.subject.name) for f in there.findings} == {(f.rule, f.subject.name) for f in here.findings}
    assert there.probe is not None
    assert here.probe is not None
    assert there.probe["losses"] == pytest.approx(here.probe["losses"], rel=1e-3)


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_fixed_batch_of_an_initial_state_is_respected(tmp_path: Path, dynamo: bool) -> None:
    """The kernel of the LSTM does not look whether state and batch fit: reading past the end must not happen."""
    torch.manual_seed(0)
    path = exported(Reader(), torch.zeros(2, 16, dtype=torch.long), tmp_path / "reader.onnx", dynamo)
    report = initadvisor.probe(path)
    assert report.verdict != "not_checked", report.error
    assert not errors(report)


@pytest.mark.parametrize("name", ["light_shufflenet", "light_squeezenet"])
def test_a_reduced_model_with_drawn_weights_runs(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.onnx"
    onnx.save(filled(name), path)
    report = initadvisor.probe(path, steps=2)
    assert report.verdict != "not_checked", report.error
    assert report.coverage.parameters == 1.0
    assert not errors(report)


def test_what_cannot_run_is_said_in_one_line(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Strange", ["x"], ["y"], domain="some.where")
    ends = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 4]) for n in "xy"]
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("some.where", 1)]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", ends[:1], ends[1:]), opset_imports=opsets)
    onnx.save(model, tmp_path / "strange.onnx")
    done = run("probe", "strange.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert "Strange" in done.stderr
    assert done.stderr.count("\n") == 1
