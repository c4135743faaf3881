"""Module paths set right after all nodes are read: repeated calls of one module, and nodes that carry no path."""

from __future__ import annotations

import re

from initadvisor.frontends.onnx_model.builder import Builder
from initadvisor.frontends.onnx_model.naming import MADE_UP

_CALL = re.compile(r"^(.*)_(\d{1,4})$")


def number_calls(builder: Builder) -> None:
    """Undo the suffix that the TorchScript exporter gives to a module's path each further time it is called.

    "fc_1" is the second call of "fc" where the node reads a parameter of "fc", or where it reads none, there is a
    path "fc" and no parameter of a module "fc_1".
    """
    if builder.origin.exporter != "torchscript":
        return
    owners: dict[int, set[str]] = {}
    for use in builder.values.uses:
        if use.node >= 0 and not MADE_UP.match(use.tensor.name):
            owners.setdefault(use.node, set()).add(use.tensor.name.rpartition(".")[0])
    modules = {owner for found in owners.values() for owner in found}
    paths = {node.scope for node in builder.graph.nodes}
    for node in builder.graph.nodes:
        match = _CALL.match(node.scope)
        if match is None:
            continue
        base, own = match[1], owners.get(node.id)
        if base in own if own else base in paths and node.scope not in modules:
            node.scope, node.call = base, int(match[2])


def place_weighted(builder: Builder) -> None:
    """Give a weighted node without a path that of its weight, as in the branches of an If."""
    if not builder.origin.exporter:
        return
    for node in builder.graph.nodes:
        if node.scope or node.op not in ("conv", "gemm", "linear", "embedding", "layer_norm", "batch_norm"):
            continue
        weight = node.inputs[1] if len(node.inputs) > 1 else None
        name = builder.graph.values[weight].parameter if weight is not None else None
        if name is not None and "::" not in name:
            node.scope = name.rpartition(".")[0]
