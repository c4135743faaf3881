"""Where each tensor of a graph sits, as far as the fingerprint needs to know."""

from __future__ import annotations

from initadvisor.analysis.fingerprint.candidates import conventional_fans
from initadvisor.analysis.fingerprint.evidence import Place
from initadvisor.graph import Graph, Layer, Parameter

_KINDS = {"linear": "weight"}


def places(graph: Graph) -> dict[str, Place]:
    """The place of every parameter by name: from the layers, or from sibling names where a state dict has none."""
    found: dict[str, Place] = {}
    for layer in graph.layers:
        weight = graph.parameters.get(layer.weight or "")
        if weight is not None and weight.name not in found:
            found[weight.name] = _of_weight(layer, weight)
        if layer.bias and layer.bias not in found:
            found[layer.bias] = _of_bias(layer, weight)
    if not graph.layers:
        for name, parameter in graph.parameters.items():
            found[name] = _by_name(name, parameter, graph)
    return found


def _of_weight(layer: Layer, weight: Parameter) -> Place:
    kind = _KINDS.get(layer.kind, layer.kind)
    return Place(kind, layer.layout, layer.blocks, hidden=_hidden(layer, weight))


def _of_bias(layer: Layer, weight: Parameter | None) -> Place:
    if weight is None or layer.kind not in ("linear", "recurrent"):
        return Place("bias")
    fan_in = conventional_fans(weight.shape, layer.layout)[0] if len(weight.shape) > 1 else None
    return Place("bias", fan_in=fan_in, hidden=_hidden(layer, weight))


def _hidden(layer: Layer, weight: Parameter) -> int | None:
    if layer.kind != "recurrent" or not layer.blocks:
        return None
    block = layer.blocks[0]
    return block.stop - block.start


def _by_name(name: str, parameter: Parameter, graph: Graph) -> Place:
    """A state dict has no graph: the bias beside a weight, and recurrent weights, are told by torch's names."""
    scope, _, last = name.rpartition(".")
    recurrent = last.replace("bias", "weight").replace("_ih_", "_hh_")
    beside = graph.parameters.get(f"{scope}.{recurrent}" if scope else recurrent)
    if last.startswith(("weight_ih_", "weight_hh_", "bias_ih_", "bias_hh_")) and beside is not None:
        return Place("recurrent", hidden=beside.shape[-1])
    if len(parameter.shape) == 1 and last == "bias":
        weight = graph.parameters.get(f"{scope}.weight" if scope else "weight")
        if weight is not None and len(weight.shape) > 1:
            return Place("bias", fan_in=conventional_fans(weight.shape, None)[0])
        return Place("bias")
    return Place()
