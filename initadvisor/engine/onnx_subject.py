"""An ONNX file as something that a probe can run: the module, where to look, inputs of the shapes that it declares."""

from __future__ import annotations

import os

import torch

from initadvisor.analysis import structure
from initadvisor.frontends import onnx_model
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module.inputs import Trial
from initadvisor.frontends.torch_module.inputs.trial import floats, tokens
from initadvisor.graph import Graph, Value
from initadvisor.probe.onnx_torch import OnnxModule, to_module
from initadvisor.probe.site import Site, consumed_by

BATCH, LENGTH, SIDE = 2, 16, 64
"""What stands for an open dimension: the first one, any other one, and the sides of an image."""


def onnx_subject(path: str, options: LoadOptions) -> tuple[OnnxModule, Graph, Trial, list[Site]]:
    """Read a file once for its facts and once to run it; raises a LoadError, UnsupportedError where it cannot run."""
    graph = structure.describe(onnx_model.load(os.fspath(path), options))
    module = to_module(graph, options=options)
    return module, graph, _inputs(graph), _sites(graph, module)


def own_names(module: OnnxModule) -> dict[str, str]:
    """Parameter of the frontend -> the torch parameter that holds all of it."""
    return {name: paths[0] for name, paths in module.onnx.parameters.items() if len(paths) == 1}


def _inputs(graph: Graph) -> Trial:
    values = [graph.values[index] for index in graph.inputs]
    tables = [layer.weight for layer in graph.layers if layer.kind == "embedding" and layer.weight is not None]
    high = min((graph.parameters[name].shape[0] for name in tables), default=2)
    opened = any(value.shape is None or any(d is None for d in value.shape) for value in values)
    note = "open dimensions made up" if opened else ""
    return Trial(tuple(_example(value, high) for value in values), source="the file", note=note)


def _example(value: Value, high: int) -> torch.Tensor:
    declared = value.shape if value.shape is not None else (None, None)
    shape = [_size(axis, size, len(declared)) for axis, size in enumerate(declared)]
    dtype = getattr(torch, value.dtype or "float32", torch.float32)
    if dtype.is_floating_point:
        return floats(*shape, dtype=dtype)
    if dtype == torch.bool:
        return torch.ones(shape, dtype=dtype)
    return tokens(*shape, high=high).to(dtype)


def _size(axis: int, size: int | None, rank: int) -> int:
    if size is not None:
        return size
    if axis == 0:
        return BATCH
    return SIDE if rank >= 4 and axis >= 2 else LENGTH


def _sites(graph: Graph, module: OnnxModule) -> list[Site]:
    held = own_names(module)
    return [
        Site(
            name=layer.name,
            module=module.onnx.layers[layer.name],
            weight=held.get(layer.weight or "", ""),
            activation=consumed_by(layer),
            kind=layer.kind,
            role=layer.role or "",
            depth=layer.depth or 0,
            norm=layer.op if layer.kind == "norm" else "",
        )
        for layer in graph.layers
        if layer.name in module.onnx.layers and layer.weight is not None and layer.kind not in ("scale", "table")
    ]
