"""Batch norms that an exporter folded into the convolution before them, drawn again where the file tells.

An export in evaluation mode multiplies the scale of a batch norm into the convolution; the network that will be
trained still has the norm, and judging it without would be wrong. The dynamo exporter says so on the node. The
TorchScript exporter renames both weight and bias of a convolution only when it folds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from initadvisor.frontends.onnx_model.tensors import Tensor
from initadvisor.frontends.onnx_model.text import text
from initadvisor.ops import ONNX, OPERATORS

if TYPE_CHECKING:
    from onnx import NodeProto

    from initadvisor.frontends.onnx_model.builder import Builder
    from initadvisor.frontends.onnx_model.names import Binding, Names

_FOLDED_NAME = re.compile(r"^onnx::Conv_\d+$")
_ATTRS = {"eps": 1e-5, "momentum": 0.1, "training": False, "folded": True}


def convolution(
    builder: Builder, proto: NodeProto, inputs: Sequence[Binding | None], attrs: dict[str, Any], names: Names
) -> bool:
    """A convolution with a norm folded in, as the two nodes that it was; False where nothing says that it was."""
    weight, bias = (*inputs, None, None, None)[1:3]
    if not isinstance(weight, Tensor) or not builder.origin.exporter:
        return False
    said = builder.origin.exporter == "dynamo" and builder.origin.batch_norm_folded(proto)
    renamed = isinstance(bias, Tensor) and _FOLDED_NAME.match(weight.name) and _FOLDED_NAME.match(bias.name)
    if not said and not (builder.origin.exporter == "torchscript" and renamed):
        return False
    norm_scope = builder.scope
    if said and weight.name in builder.origin.kinds:
        builder.scope = (weight.name.rpartition(".")[0], builder.scope[1])
    elif not said:
        norm_scope = (_following(builder.scope[0]), builder.scope[1])
    spelling = text(proto.op_type)
    output = text(proto.output[0])
    dtype, shape = names.declared.get(output, (None, None))
    owner = weight.name.rpartition(".")[0]
    own_bias = isinstance(bias, Tensor) and bias.name in builder.origin.kinds and bias.name.rpartition(".")[0] == owner
    between = builder.values.add(f"{output} (before the folded norm)", shape, dtype, "result")
    builder.plain(
        proto,
        spelling,
        builder.opsets[""],
        [*inputs[:2], bias if own_bias else None],
        attrs,
        names,
        ONNX[spelling],
        [between],
    )
    builder.scope = norm_scope
    found = [
        ("input", between),
        ("weight", None),
        ("bias", None if own_bias else bias),
        ("running_mean", None),
        ("running_var", None),
    ]
    builder.emit(
        proto, "batch_norm", f"BatchNormalization in {spelling}", found, dict(_ATTRS), names, OPERATORS["batch_norm"]
    )
    builder.folded_norms += 1
    return True


def _following(scope: str) -> str:
    """What torch models usually call the norm after a convolution: "conv1" "bn1", "features.0" "features.1"."""
    path, dot, last = scope.rpartition(".")
    if last.isdecimal():
        return f"{path}{dot}{int(last) + 1}"
    if "conv" in last:
        return f"{path}{dot}{last.replace('conv', 'bn')}"
    return f"{scope}.norm" if scope else ""
