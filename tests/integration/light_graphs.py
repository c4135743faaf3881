"""The nine reduced model-zoo graphs that ship with onnx: their weights are ConstantOfShape nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("light_*.onnx")))


def path_of(name: str) -> Path:
    """Where a reduced graph lies."""
    return FOLDER / f"{name}.onnx"


def filled(name: str, seed: int = 0) -> onnx.ModelProto:
    """The graph with drawn weights: He over the true fan_in, norms at one and zero, biases at zero."""
    model = onnx.load(path_of(name))
    graph = model.graph
    rng = np.random.default_rng(seed)
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    use = {value: (node.op_type, slot) for node in graph.node for slot, value in enumerate(node.input)}
    kept = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = tuple(int(d) for d in shapes[node.input[0]])
        array = _draw(rng, *use.get(node.output[0], ("", 0)), shape)
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), node.output[0]))
    for node in kept:
        if node.op_type == "Unsqueeze" and node.input[0] in use:
            # The scale of a per-channel Mul is 1, the shift of a per-channel Add is 0.
            reader = use.get(node.output[0], ("", 0))[0]
            for tensor in graph.initializer:
                if tensor.name == node.input[0]:
                    value = 1.0 if reader == "Mul" else 0.0
                    array = np.full(tuple(tensor.dims), value, np.float32)
                    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    del graph.node[:]
    graph.node.extend(kept)
    return model


def _draw(rng: np.random.Generator, op: str, slot: int, shape: tuple[int, ...]) -> np.ndarray:
    if op == "Conv" and slot == 1:
        return rng.normal(0.0, np.sqrt(2.0 / np.prod(shape[1:])), shape)
    if op == "Gemm" and slot == 1:
        return rng.normal(0.0, np.sqrt(2.0 / shape[1]), shape)
    if op == "BatchNormalization":
        return np.full(shape, 1.0 if slot in (1, 4) else 0.0)
    return np.zeros(shape)
