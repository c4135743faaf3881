"""Small ONNX models made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from initadvisor.frontends.onnx_model import load
from initadvisor.graph import Graph


class Models:
    """Makes models in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def proto(
        self,
        nodes: Sequence[onnx.NodeProto],
        weights: dict[str, np.ndarray] | None = None,
        inputs: dict[str, Sequence[int | str]] | None = None,
        outputs: Sequence[str] = ("y",),
        opset: int = 20,
        **fields: Any,
    ) -> onnx.ModelProto:
        """A model whose inputs are float tensors of the given shapes."""
        tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
        given = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in ({"x": (1, 4)} if inputs is None else inputs).items()
        ]
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(list(nodes), "g", given, made, tensors)
        fields.setdefault("opset_imports", [helper.make_opsetid("", opset)])
        return helper.make_model(graph, ir_version=10, **fields)

    def save(self, model: onnx.ModelProto | bytes, name: str = "model.onnx") -> Path:
        """The path of a file that holds the model, or exactly these bytes."""
        path = self.folder / name
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return path

    def load(
        self, nodes: Sequence[onnx.NodeProto], weights: dict[str, np.ndarray] | None = None, **settings: Any
    ) -> Graph:
        """The graph of a model made of these nodes."""
        return load(self.save(self.proto(nodes, weights, **settings)))


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)


@pytest.fixture
def node() -> Callable[..., onnx.NodeProto]:
    return helper.make_node
