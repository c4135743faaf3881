"""Shapes and types of the values of a model: what the file declares, completed by onnx's own inference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from initadvisor.errors import UsageError
from initadvisor.frontends.onnx_model.tensors import DTYPES
from initadvisor.frontends.onnx_model.text import shown, text
from initadvisor.graph import Shape

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

Declared = dict[str, tuple[str | None, Shape | None]]
"""Value name to (dtype, shape)."""

_NODE_LIMIT = 250_000
_RANK_LIMIT = 64


def with_shapes(model: ModelProto, notes: list[str]) -> ModelProto:
    """The model with the shapes of its values inferred where some are missing; says in `notes` where that failed."""
    if _complete(model.graph):
        return model
    if len(model.graph.node) > _NODE_LIMIT:
        notes.append("shapes were not inferred: the graph is too large")
        return model
    from onnx import shape_inference

    try:
        return shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # its C++ raises several kinds
        reason = str(error).strip().split("\n")[0][:160]
        notes.append(f"shapes were not inferred: {reason}")
        return model


def set_input_shapes(model: ModelProto, shapes: tuple[tuple[int, ...], ...]) -> None:
    """Give the inputs of the model fixed shapes; raises UsageError where they cannot have them."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(shapes) > len(inputs):
        raise UsageError(f"{len(shapes)} input shapes were given for a model with {len(inputs)} inputs")
    for value, shape in zip(inputs, shapes, strict=False):
        dims = value.type.tensor_type.shape.dim
        if len(dims) not in (0, len(shape)):
            raise UsageError(f"input {shown(value.name)} has {len(dims)} dimensions; the given shape has {len(shape)}")
        del dims[:]
        for size in shape:
            dims.add().dim_value = size
    del graph.value_info[:]


def declared(graph: GraphProto) -> Declared:
    """What a graph says of its inputs, outputs and values."""
    found: Declared = {}
    for values in (graph.value_info, graph.output, graph.input):
        for value in values:
            found[text(value.name)] = value_type(value)
    return found


def value_type(value: ValueInfoProto) -> tuple[str | None, Shape | None]:
    """(dtype, shape) of one declared value; None for what is not declared or is no tensor."""
    if not value.type.HasField("tensor_type"):
        return None, None
    tensor = value.type.tensor_type
    dtype = DTYPES.get(tensor.elem_type)
    if not tensor.HasField("shape") or len(tensor.shape.dim) > _RANK_LIMIT:
        return dtype, None
    return dtype, tuple(d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else None for d in tensor.shape.dim)


def _complete(graph: GraphProto) -> bool:
    known = {value.name for value in _with_shape(graph.value_info)} | {
        value.name for value in _with_shape(graph.output)
    }
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or len(attribute.graphs):
                return False
        if any(output and output not in known for output in node.output):
            return False
    return True


def _with_shape(values: Iterable[ValueInfoProto]) -> Iterable[ValueInfoProto]:
    return (value for value in values if value.type.tensor_type.HasField("shape"))
