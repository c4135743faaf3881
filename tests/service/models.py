"""Small ONNX files that can be told apart, and one that takes a while."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def marked(mark: str) -> bytes:
    """One small layer whose weight carries a mark in its name, which the report shows."""
    return _chain([f"w.{mark}"], 8)


def script(name: str) -> bytes:
    """A model whose layer has any name."""
    return _chain([name], 8)


@lru_cache(maxsize=2)
def slow(layers: int = 400) -> bytes:
    """Many layers: about a second of work for 400 on a quick core, in a file of less than a megabyte."""
    return _chain([f"w{number}" for number in range(layers)], 8)


@lru_cache(maxsize=1)
def large() -> bytes:
    """One layer of 16 million elements."""
    return _chain(["w"], 4096)


def _chain(weights: list[str], width: int) -> bytes:
    rng = np.random.default_rng(len(weights))
    scale = np.float32(1.0 / np.sqrt(width))
    drawn = [
        numpy_helper.from_array(rng.standard_normal((width, width), dtype=np.float32) * scale, name) for name in weights
    ]
    values = ["x", *(f"h{number}" for number in range(len(weights)))]
    nodes = [
        helper.make_node("MatMul", [values[number], name], [values[number + 1]]) for number, name in enumerate(weights)
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, width])
    y = helper.make_tensor_value_info(values[-1], TensorProto.FLOAT, [1, width])
    graph = helper.make_graph(nodes, "g", [x], [y], drawn)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
