"""Operators that the standard itself defines by a function of others, expanded when their input types are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from initadvisor.errors import FormatError
from initadvisor.frontends.onnx_model.attributes import attributes
from initadvisor.probe.onnx_torch.registry import Call, Implementation
from initadvisor.probe.onnx_torch.types import ONNX_TYPES

if TYPE_CHECKING:
    from onnx import NodeProto

    from initadvisor.probe.onnx_torch.compiling import Compiler
    from initadvisor.probe.onnx_torch.program import Program


def expanded(compiler: Compiler, call: Call, proto: NodeProto) -> Implementation | None:
    """An implementation by the function body of the operator's schema, or None where it has none."""
    from onnx import defs

    try:
        schema = defs.get_schema(proto.op_type, call.opset, "" if "::" not in call.spelling else proto.domain)
    except (defs.SchemaError, TypeError):
        return None
    if not schema.has_function and not schema.has_context_dependent_function:
        return None
    programs: dict[tuple[Any, ...], Program] = {}

    def run(now: Call, *inputs: Any) -> Any:
        key = tuple((x.dtype, x.dim()) if isinstance(x, torch.Tensor) else x is None for x in inputs)
        if key not in programs:
            body = _body(schema, now.opset, proto, now.attrs, inputs)
            programs[key] = compiler.function(body, now.opset, _defaults(schema) | now.attrs)
        program = programs[key]
        padded = (*inputs, *[None] * (len(program.inputs) - len(inputs)))
        found = program.run(dict(zip(program.inputs, padded, strict=True)))
        return tuple(found) if len(found) > 1 else found[0]

    return run


def _body(schema: Any, opset: int, proto: NodeProto, attrs: dict[str, Any], inputs: tuple[Any, ...]) -> Any:
    import onnx

    if schema.has_function:
        data = _newest(schema.function_opset_versions, schema.get_function_with_opset_version, opset)
        if data:
            return onnx.FunctionProto.FromString(data)
    kinds = [_type(x).SerializeToString() for x in inputs]
    node = _resolved(proto, attrs).SerializeToString()
    data = _newest(
        schema.context_dependent_function_opset_versions,
        lambda version: schema.get_context_dependent_function_with_opset_version(version, node, kinds),
        opset,
    )
    if not data:
        raise FormatError("the standard has no function for these inputs")
    return onnx.FunctionProto.FromString(data)


def _resolved(proto: NodeProto, attrs: dict[str, Any]) -> NodeProto:
    """The node with the attributes that it takes from a function's call filled in."""
    from onnx import NodeProto, helper

    if not any(attribute.ref_attr_name for attribute in proto.attribute):
        return proto
    made = NodeProto()
    made.CopyFrom(proto)
    del made.attribute[:]
    for attribute in proto.attribute:
        if not attribute.ref_attr_name:
            made.attribute.append(attribute)
        elif isinstance(attrs.get(attribute.name), int | float | str | tuple):
            made.attribute.append(helper.make_attribute(attribute.name, attrs[attribute.name]))
    return made


def _newest(versions: Any, get: Any, opset: int) -> bytes:
    usable = [version for version in versions if version <= opset]
    return bytes(get(max(usable))) if usable else b""


def _type(x: Any) -> Any:
    from onnx import TypeProto

    kind = TypeProto()
    if isinstance(x, torch.Tensor):
        kind.tensor_type.elem_type = ONNX_TYPES.get(x.dtype, 0)
        for size in x.shape:
            kind.tensor_type.shape.dim.add().dim_value = size
    return kind


def _defaults(schema: Any) -> dict[str, Any]:
    defaults = [attribute.default_value for attribute in schema.attributes.values() if attribute.default_value.name]
    return attributes(defaults, {})
