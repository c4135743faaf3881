"""Dynamically quantized products, read as the real products that they approximate.

The pattern: DynamicQuantizeLinear gives codes and a scale; MatMulInteger or ConvInteger multiplies codes by stored
codes; Cast and Mul by the product of both scales give the real result. The stored scale lies in that last product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.frontends.onnx_model import quantized
from initadvisor.frontends.onnx_model.tensors import Tensor
from initadvisor.frontends.onnx_model.text import text
from initadvisor.ops import ONNX

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

    from initadvisor.frontends.onnx_model.builder import Builder
    from initadvisor.frontends.onnx_model.names import Binding, Names


class Readers:
    """Which nodes of a graph read a name, and which makes it."""

    def __init__(self, graph: GraphProto) -> None:
        self.made: dict[str, NodeProto] = {}
        self.read: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.output:
                self.made[name] = node
            for name in node.input:
                self.read.setdefault(name, []).append(node)

    def only(self, name: str, op_type: str) -> NodeProto | None:
        """The one node that reads a name, if it is of this type."""
        found = self.read.get(name, [])
        return found[0] if len(found) == 1 and found[0].op_type == op_type else None


def product(
    builder: Builder, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names
) -> bool:
    """MatMulInteger or ConvInteger as a real product or convolution; False where the scale is not found."""
    matrix = text(proto.op_type) == "MatMulInteger"
    given = [*inputs, *[None] * (4 - len(inputs))]
    weight = given[1]
    if not isinstance(weight, Tensor) or names.readers is None:
        return False
    for last, cast, scales, side in _rescalings(names.readers, text(proto.output[0])):
        scale = names.find(text(side))
        if not isinstance(scale, Tensor):
            continue
        real = quantized.real(weight, scale, given[3], len(weight.shape) - 1 if matrix else 0, 0)
        if real is None:
            continue
        spelling = "MatMul" if matrix else "Conv"
        node = builder.plain(proto, spelling, builder.opsets[""], [given[0], real], attrs, names, ONNX[spelling])
        dtype, shape = names.declared.get(text(last.output[0]), ("float32", None))
        value = builder.graph.values[node.outputs[0]]
        value.dtype, value.shape = dtype, shape if shape is not None else value.shape
        for skipped in (cast, scales, last):
            builder.forwarded[text(skipped.output[0])] = node.outputs[0]
        return True
    return False


def _rescalings(readers: Readers, product_name: str) -> Iterator[tuple[NodeProto, NodeProto, NodeProto, str]]:
    """(last Mul, Cast, Mul of the two scales, the name of one scale) behind an integer product."""
    cast = readers.only(product_name, "Cast")
    last = readers.only(cast.output[0], "Mul") if cast is not None else None
    if cast is None or last is None:
        return
    for name in last.input:
        scales = readers.made.get(name)
        if name != cast.output[0] and scales is not None and scales.op_type == "Mul":
            for side in scales.input:
                yield last, cast, scales, side
