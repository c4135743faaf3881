"""The light model-zoo graphs that ship with onnx, with drawn weights, against onnxruntime."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from initadvisor.probe.onnx_torch import to_module

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
QUICK = ("inception_v1", "shufflenet", "squeezenet")
SLOW = ("densenet121", "inception_v2", "resnet50")
LARGE = ("bvlc_alexnet", "vgg19", "zfnet512")
"""Hundreds of megabytes of weights in front of the head: by hand, with -m long."""


def _drawn(name, rng):
    """The graph with its filled weights drawn, up to the logits: a saturated softmax has no gradient to compare."""
    model = onnx.load(FOLDER / f"light_{name}.onnx")
    graph = model.graph
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    variances = {node.input[4] for node in graph.node if node.op_type == "BatchNormalization"}
    kept = []
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            shape = tuple(int(n) for n in shapes[node.input[0]])
            drawn = rng.standard_normal(shape) * np.sqrt(2 / max(np.prod(shape[1:]), 1))
            if len(shape) == 1:
                drawn = (
                    rng.uniform(0.5, 1.5, shape) if node.output[0] in variances else 0.1 * rng.standard_normal(shape)
                )
            graph.initializer.append(numpy_helper.from_array(drawn.astype(np.float32), node.output[0]))
        elif node.op_type == "Softmax":
            del graph.output[:]
            graph.output.append(helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, None))
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    return model, shapes


def test_the_list_is_complete():
    assert {path.stem for path in FOLDER.glob("light_*.onnx")} == {f"light_{name}" for name in (*QUICK, *SLOW, *LARGE)}


@pytest.mark.parametrize(
    "name",
    [
        *QUICK,
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW),
        *(pytest.param(name, marks=pytest.mark.long) for name in LARGE),
    ],
)
def test_light_zoo_graph_runs_forward_and_backward(tmp_path, reference, name):
    rng = np.random.default_rng(0)
    model, known = _drawn(name, rng)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    module = to_module(path)
    declared = {v.name: [d.dim_value or 1 for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    inputs = {
        name: known[name] if name in known else rng.standard_normal(declared[name]).astype(np.float32)
        for name in module.onnx.inputs
    }
    found = module(**{name: torch.from_numpy(np.array(array)) for name, array in inputs.items()})
    (expected,) = reference(path, inputs)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    (found * torch.randn_like(found)).sum().backward()
    assert [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []
