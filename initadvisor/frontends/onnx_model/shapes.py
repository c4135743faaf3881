"""Shapes and types that a file declares for its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initadvisor.errors import UsageError
from initadvisor.frontends.onnx_model.tensors import DTYPES
from initadvisor.frontends.onnx_model.text import shown, text
from initadvisor.graph import Shape

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

Declared = dict[str, tuple[str | None, Shape | None]]
"""Value name to (dtype, shape)."""

_RANK_LIMIT = 64


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
        if any(not 0 <= size < 1 << 62 for size in shape):
            raise UsageError(f"{shape} is no shape that input {shown(value.name)} can have")
        del dims[:]
        for size in shape:
            dims.add().dim_value = size
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


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
