"""Layers of a state dict: no graph is known, only names and shapes say what belongs together."""

from __future__ import annotations

from initadvisor.analysis.structure.naming import module_path
from initadvisor.graph import Graph, Layer, Layout, Parameter


def layers_by_shape(graph: Graph) -> list[Layer]:
    """A layer for each tensor called weight, its bias beside it; what the shapes leave open stays unknown.

    A bias as long as axis 0 shows an (out, in, kernel...) weight, running statistics a batch norm. A matrix without a
    bias may be an embedding or stored either way round: it gets no fans.
    """
    layers: list[Layer] = []
    taken: set[str] = set()
    for name, parameter in graph.parameters.items():
        path = module_path(name)
        if parameter.buffer or not parameter.is_float or path == name:
            continue
        layer = _of_weight(graph, parameter, path)
        layers.append(layer)
        taken.update(n for n in (layer.weight, layer.bias) if n is not None)
    for name, parameter in graph.parameters.items():
        if name not in taken and not parameter.buffer and parameter.is_float:
            layers.append(Layer(name=name, op="unknown", kind="table", weight=name))
    return layers


def _of_weight(graph: Graph, weight: Parameter, path: str) -> Layer:
    prefix = f"{path}." if path != weight.name else ""
    bias = graph.parameters.get(f"{prefix}bias")
    mean, var = (graph.parameters.get(f"{prefix}running_{x}") for x in ("mean", "var"))
    layer = Layer(name=path, op="unknown", kind="table", weight=weight.name, bias=bias.name if bias else None)
    if mean is not None and var is not None and len(weight.shape) == 1:
        layer.kind, layer.op = "norm", "batch_norm"
        layer.attrs.update(running_mean=mean.name, running_var=var.name, channels=weight.size)
        mean.buffer = var.buffer = True
    elif len(weight.shape) == 1 and bias is not None and bias.shape == weight.shape:
        layer.kind = "norm"
        layer.attrs["channels"] = weight.size
    elif len(weight.shape) > 1 and bias is not None and bias.shape == weight.shape[:1]:
        layer.kind, layer.op = "linear", "linear" if len(weight.shape) == 2 else "conv"
        if len(weight.shape) == 2 or weight.shape[0] != weight.shape[1]:
            layer.layout = Layout((0,), (1,))
            layer.fan_in = layer.layout.fan_in(weight.shape)
            layer.receptive_field = layer.layout.receptive_field(weight.shape)
    return layer
