"""The nine reduced model-zoo graphs that ship with onnx: their large weights are ConstantOfShape nodes."""

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
    """The graph as it would start: He over the true fan_in, norms at one and zero, biases at zero."""
    model = onnx.load(path_of(name))
    graph = model.graph
    rng = np.random.default_rng(seed)
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shapes = {n.output[0]: tuple(map(int, held[n.input[0]])) for n in graph.node if n.op_type == "ConstantOfShape"}
    shapes |= {name: array.shape for name, array in held.items() if array.dtype == np.float32}
    kept = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    use = {value: (node, slot) for node in kept for slot, value in enumerate(node.input)}
    drawn = {name: _draw(rng, name, shape, use) for name, shape in shapes.items() if name in use}
    others = [tensor for tensor in graph.initializer if tensor.name not in drawn]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(others)
    graph.initializer.extend(numpy_helper.from_array(a.astype(np.float32), name) for name, a in drawn.items())
    graph.node.extend(kept)
    return model


def _draw(rng: np.random.Generator, name: str, shape: tuple[int, ...], use: dict) -> np.ndarray:
    node, slot = use[name]
    while node.op_type in ("Unsqueeze", "Reshape"):  # a per-channel scale or shift, a flattened weight
        node, slot = use[node.output[0]]
    if node.op_type in ("Conv", "Gemm") and slot == 1:
        return rng.normal(0.0, np.sqrt(2.0 / np.prod(shape[1:])), shape)
    one = (node.op_type == "BatchNormalization" and slot in (1, 4)) or node.op_type == "Mul"
    return np.full(shape, float(one))
