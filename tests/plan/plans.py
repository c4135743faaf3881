"""Plans of real modules, as the tests make them."""

from __future__ import annotations

from typing import Any

from torch import nn

from initadvisor import frontends
from initadvisor.analysis.structure import describe
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends.options import LoadOptions
from initadvisor.graph import Graph
from initadvisor.plan import Plan, advise


def described(module: nn.Module, *shapes: tuple[int, ...]) -> Graph:
    """The graph of a module for inputs of some shapes."""
    return describe(frontends.load(module, LoadOptions(input_shapes=shapes or None)))


def plan_of(module: nn.Module, *shapes: tuple[int, ...], **options: Any) -> Plan:
    """The plan of a module, with its tensors measured."""
    graph = described(module, *shapes)
    return advise(graph, tensor_facts(graph), **options)
