"""`check --batch-size` and `--devices`, from the command line and from a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.cli.running import here


def _model(path: Path) -> None:
    rng = np.random.default_rng(0)
    tensors = {
        "conv.weight": rng.normal(0, (2 / 27) ** 0.5, (32, 3, 3, 3)),
        "norm.weight": np.ones(32),
        "norm.bias": np.zeros(32),
        "norm.running_mean": np.zeros(32),
        "norm.running_var": np.ones(32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["a"], name="conv"),
        helper.make_node("BatchNormalization", ["a", *list(tensors)[1:]], ["b"], name="norm"),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 32, 6, 6])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in tensors.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)


def _found(folder: Path, *options: str) -> list[str]:
    done = here("check", "m.onnx", "--select", "IA406,IA407", "--output-format", "json", *options, cwd=folder)
    return [finding["rule"] for finding in json.loads(done.stdout)["findings"]]


def test_the_batch_to_come_is_told_by_options_or_configuration(tmp_path: Path) -> None:
    _model(tmp_path / "m.onnx")
    assert _found(tmp_path) == []
    assert _found(tmp_path, "--batch-size", "2") == ["IA406"]
    (tmp_path / "initadvisor.toml").write_text("batch-size = 2\ndevices = 1\n")
    assert _found(tmp_path) == ["IA406"]
    assert _found(tmp_path, "--batch-size", "32") == []
    done = here("check", "m.onnx", "--show-settings", cwd=tmp_path)
    assert "batch-size = 2" in done.stdout


def test_a_size_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    _model(tmp_path / "m.onnx")
    assert here("check", "m.onnx", "--batch-size", "0", cwd=tmp_path).returncode == 2
