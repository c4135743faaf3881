"""The tensors that a graph holds under a name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from initadvisor.errors import FormatError
from initadvisor.frontends.onnx_model.names import Names
from initadvisor.frontends.onnx_model.tensor_reader import TensorReader
from initadvisor.frontends.onnx_model.text import shown, text

if TYPE_CHECKING:
    from onnx import GraphProto


def bind_initializers(graph: GraphProto, reader: TensorReader, names: Names) -> set[str]:
    """Bind the initializers of a graph; gives their names, raises FormatError where a name is given twice."""
    seen: set[str] = set()
    for proto in graph.initializer:
        name = text(proto.name)
        _once(name, seen)
        names.bind(name, reader.read(proto, name, "initializer"))
    for sparse in graph.sparse_initializer:
        name = text(sparse.values.name)
        _once(name, seen)
        names.bind(name, reader.read_sparse(sparse, name))
    inputs = [text(value.name) for value in graph.input]
    if len(set(inputs)) < len(inputs):
        raise FormatError(f"two inputs of the graph have the same name: {shown(_repeated(inputs))}")
    return seen


def _once(name: str, seen: set[str]) -> None:
    if not name:
        raise FormatError("the model has an initializer without a name")
    if name in seen:
        raise FormatError(f"two initializers have the name {shown(name)}")
    seen.add(name)


def _repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
