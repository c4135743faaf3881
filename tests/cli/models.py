"""Small ONNX files, written without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def mlp(
    path: Path, *, gain: float = 2**0.5, depth: int = 10, width: int = 64, seed: int = 0, prefix: str = "fc"
) -> Path:
    """A plain ReLU stack with normal weights of a gain and zero biases; sqrt(2) is what ReLU needs."""
    generator = np.random.default_rng(seed)
    nodes, tensors = [], []
    for layer in range(depth):
        name = f"{prefix}{layer}"
        weight = generator.normal(0.0, gain / width**0.5, (width, width)).astype(np.float32)
        tensors += [
            numpy_helper.from_array(weight, f"{name}.weight"),
            numpy_helper.from_array(np.zeros(width, np.float32), f"{name}.bias"),
        ]
        source = "x" if layer == 0 else f"a{layer - 1}"
        nodes.append(helper.make_node("Gemm", [source, f"{name}.weight", f"{name}.bias"], [f"z{layer}"], transB=1))
        if layer < depth - 1:
            nodes.append(helper.make_node("Relu", [f"z{layer}"], [f"a{layer}"]))
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, width])],
        [helper.make_tensor_value_info(f"z{depth - 1}", TensorProto.FLOAT, [4, width])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def poisoned(path: Path, **options: object) -> Path:
    """The same with one NaN in the first weight."""
    mlp(path, **options)  # type: ignore[arg-type]
    model = onnx.load(path)
    first = model.graph.initializer[0]
    weight = numpy_helper.to_array(first).copy()
    weight[0, 0] = np.nan
    first.CopyFrom(numpy_helper.from_array(weight, first.name))
    onnx.save(model, path)
    return path
