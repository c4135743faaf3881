"""Real graphs: the model zoo's light files, all of onnx's own test models, and what loading imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import Models
from onnx import helper, numpy_helper

from initadvisor.frontends.onnx_model import load
from initadvisor.frontends.sources import FilledSource

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
LIGHT = sorted((DATA / "light").glob("light_*.onnx"))


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_light_graphs_hold_their_weights_as_fills(path: Path) -> None:
    """Each convolution, matrix and norm of the file is there with its weight, which is one number everywhere."""
    graph = load(path)
    model = onnx.load(path)
    fills = {node.output[0] for node in model.graph.node if node.op_type == "ConstantOfShape"}
    floats = {
        t.name
        for t in model.graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT and numpy_helper.to_array(t).size > 1
    }
    assert set(graph.parameters) == fills | floats
    kinds = {"Conv": "conv", "Gemm": "gemm", "BatchNormalization": "batch_norm", "Relu": "relu"}
    for native, op in kinds.items():
        expected = sum(node.op_type == native for node in model.graph.node)
        assert sum(node.op == op for node in graph.nodes) == expected, native
    assert not graph.coverage.opaque
    assert all(isinstance(graph.parameters[name].source, FilledSource) for name in fills)
    shapes = [graph.values[v].shape for node in graph.nodes for v in node.outputs[:1]]
    assert all(shape is not None and None not in shape for shape in shapes)


def test_there_are_nine_light_graphs() -> None:
    assert len(LIGHT) == 9


def test_onnx_own_models_are_all_read() -> None:
    """Every model.onnx in the onnx package: consistent ids, no operator of the standard unknown."""
    paths = sorted(DATA.glob("*/*/model.onnx"))
    assert len(paths) > 100
    for path in paths:
        graph = load(path)
        assert all(value.id == i for i, value in enumerate(graph.values)), path
        for i, node in enumerate(graph.nodes):
            assert node.id == i
            assert all(v is None or 0 <= v < len(graph.values) for v in (*node.inputs, *node.outputs)), path
            assert all(graph.values[v].producer == i for v in node.outputs), path
        assert all(0 <= v < len(graph.values) for v in graph.outputs), path
        assert all(native.startswith("ai.onnx.") for native in graph.coverage.opaque), path


def test_loading_imports_neither_torch_nor_a_runtime(models: Models) -> None:
    model = models.proto([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.eye(4, dtype=np.float32)})
    script = (
        "import sys\n"
        "from initadvisor.frontends.onnx_model import load\n"
        "load(sys.argv[1])\n"
        "bad = {'torch', 'onnxruntime', 'onnx_ir', 'onnxscript', 'scipy', 'pydantic'} & set(sys.modules)\n"
        "raise SystemExit(', '.join(bad) or 0)\n"
    )
    command = [sys.executable, "-c", script, str(models.save(model))]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_importing_the_frontend_does_not_import_onnx() -> None:
    script = "import sys, initadvisor.frontends.onnx_model; raise SystemExit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
