"""Where things are in a described graph, as recipes ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

from initadvisor.graph import Graph, Layer
from initadvisor.initializers.recipes.choice import Choice, Choices
from initadvisor.initializers.spec import InitSpec

VALUE_SIDE = ("v", "attention_out", "mlp_in", "mlp_out", "gate", "gate_up", "expert")
"""Roles whose weights carry the signal through a transformer's branches: value, output, feed-forward."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One residual branch: its weighted layers in order, those that end it, its norms, its learned scales."""

    layers: tuple[Layer, ...]
    ends: tuple[Layer, ...]
    norms: tuple[Layer, ...]
    scales: tuple[Layer, ...]
    post_norm: bool


def branches(graph: Graph) -> list[Branch]:
    """The residual branches of a model, in the order of their additions."""
    by_name = {layer.name: layer for layer in graph.layers}

    def named(names: Any) -> tuple[Layer, ...]:
        return tuple(by_name[name] for name in names if name in by_name)

    return [
        Branch(
            named(block["layers"]),
            named(block["ends"]),
            named(block["norms"]),
            named(block["scales"]),
            bool(block.get("post_norm")),
        )
        for block in graph.summary.get("blocks", ())
    ]


def weighted(graph: Graph, *roles: str) -> Iterator[Layer]:
    """The linear layers whose weight is a parameter, of the given roles or of any."""
    for layer in graph.layers:
        if layer.kind == "linear" and layer.weight is not None and (not roles or layer.role in roles):
            yield layer


def of_kind(graph: Graph, kind: str, *roles: str) -> Iterator[Layer]:
    """The layers of one kind that have a weight, of the given roles or of any."""
    for layer in graph.layers:
        if layer.kind == kind and layer.weight is not None and (not roles or layer.role in roles):
            yield layer


def zero_biases(graph: Graph, reason: str, kinds: tuple[str, ...] = ("linear", "norm")) -> Choices:
    """Zeros for every bias of the layers of some kinds."""
    chosen = Choice(InitSpec("zeros"), reason)
    return {layer.bias: chosen for layer in graph.layers if layer.bias is not None and layer.kind in kinds}


def unit_norms(graph: Graph, reason: str = "a norm starts as plain normalization") -> Choices:
    """Scale one (or zero, where the norm adds one to it) for every norm."""
    chosen: Choices = {}
    for layer in of_kind(graph, "norm"):
        assert layer.weight is not None
        offset = float(layer.attrs.get("weight_offset") or 0.0)
        chosen[layer.weight] = Choice(_constant(1.0 - offset), reason)
    return chosen


def _constant(value: float) -> InitSpec:
    return InitSpec("ones") if value == 1.0 else InitSpec("zeros") if value == 0.0 else constant(value)


def constant(value: float) -> InitSpec:
    """A constant as a spec."""
    return InitSpec("constant", {"value": value})


def in_blocks(layer: Layer, spec: InitSpec, only: dict[str, InitSpec] | None = None) -> InitSpec:
    """A spec for a weight: by part where the weight is fused, `only` overriding the parts of some names."""
    if len(layer.blocks) < 2 or len({block.axis for block in layer.blocks}) != 1:
        return spec
    stretches = sorted(layer.blocks, key=lambda block: block.start)
    if any(a.stop != b.start for a, b in pairwise(stretches)) or stretches[0].start:
        return spec
    return InitSpec(
        "blocks",
        {
            "axis": layer.blocks[0].axis,
            "blocks": [
                {
                    "name": block.name,
                    "start": block.start,
                    "stop": block.stop,
                    "spec": (only or {}).get(block.name, spec).to_json(),
                }
                for block in stretches
            ],
        },
    )


def matches(name: str, pattern: str) -> bool:
    """Whether a layer or parameter name, or what it lies in, matches a glob."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, pattern + ".*")


def width(graph: Graph) -> int:
    """The width of the residual stream of a transformer: the output of its attention, else of its feed-forward."""
    for role in ("attention_out", "mlp_out", "token", "q", "qkv"):
        for layer in graph.layers:
            parameter = graph.parameters.get(layer.weight) if layer.weight else None
            if layer.role == role and layer.layout is not None and parameter is not None:
                into_stream = role in ("attention_out", "mlp_out", "token")
                side = layer.layout.channels_out if into_stream else layer.layout.channels_in
                return side(parameter.shape)
    return 0
