"""What a torture case is: a small module that is hard to record, and what its graph must say.

The reference is torch itself: a parameter that gets a gradient in an ordinary eager pass must be an ancestor of an
output in the graph, and no other parameter may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from initadvisor.graph import Graph


@dataclass(frozen=True)
class Case:
    """One hard module.

    build: makes the module. inputs: makes its arguments (a tuple, or a dict of keyword arguments); None: inferred.
    weights: parameter -> the operator that consumes it, behind views and casts.
    ops: operators that must be among the nodes. ties: first name -> further names. events: kinds that must occur.
    unreached: parameters that never influence an output. capture: the step of the ladder.
    opaque: how many operators may stay without a name; None: any number.
    autograd: compare the reached parameters with those that get a gradient in an eager pass.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], Any] | None
    weights: Mapping[str, str]
    ops: tuple[str, ...] = ()
    ties: Mapping[str, tuple[str, ...]] | None = None
    events: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    capture: str = "virtual"
    autograd: bool = True
    opaque: int | None = 0


CASES: list[Case] = []

_TRANSPARENT = """
    transpose permute matrix_transpose reshape expand cast identity getitem slice select narrow split chunk unbind
    dequantize fake_quantize unsqueeze squeeze flatten stack cat view_as_complex index_select pack_sequence pad_sequence
"""
TRANSPARENT = frozenset(_TRANSPARENT.split())


def case(inputs: Callable[[], Any] | None = None, *, build: Callable[[], Any] | None = None, **expected: Any) -> Any:
    """Register the decorated module class (or function that makes a module) as a case."""

    def add(maker: Any) -> Any:
        CASES.append(Case(maker.__name__, build or maker, inputs, expected.pop("weights", {}), **expected))
        return maker

    return add


def row(*shape: int) -> Callable[[], tuple[torch.Tensor]]:
    """One float input of a shape."""
    return lambda: (torch.randn(shape),)


def reached(graph: Graph) -> set[str]:
    """The parameters that some output depends on."""
    seen: set[int] = set()
    stack = list(graph.outputs)
    found: set[str] = set()
    while stack:
        value = stack.pop()
        if value in seen:
            continue
        seen.add(value)
        record = graph.values[value]
        if record.parameter is not None:
            found.add(record.parameter)
        if record.producer is not None:
            stack += [i for i in graph.nodes[record.producer].inputs if i is not None]
    return found


def consumers(graph: Graph, parameter: str) -> set[str]:
    """The operators that read a parameter, looked for behind transparent ones."""
    table = graph.consumers()
    stack = [v.id for v in graph.values if v.parameter == parameter]
    seen: set[int] = set()
    found: set[str] = set()
    while stack:
        for node, _ in table[stack.pop()]:
            if node in seen:
                continue
            seen.add(node)
            if graph.nodes[node].op in TRANSPARENT:
                stack += graph.nodes[node].outputs
            else:
                found.add(graph.nodes[node].op)
    return found


def with_gradient(module: nn.Module, args: Any) -> set[str]:
    """The parameters that get a gradient when the outputs of an eager pass are summed."""
    from initadvisor.frontends.torch_module.trees import leaves

    torch.manual_seed(0)
    result = module(**args) if isinstance(args, dict) else module(*args)
    total: Any = 0.0
    for tensor in leaves(result):
        if tensor.requires_grad:
            total = total + (tensor.abs() if tensor.is_complex() else tensor.float()).sum()
    named = dict(module.named_parameters())
    grads = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return {n for n, g in zip(named, grads, strict=True) if g is not None}
