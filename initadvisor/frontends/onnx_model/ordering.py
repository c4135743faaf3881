"""The nodes of a graph in an order in which each follows what it reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from initadvisor.errors import FormatError
from initadvisor.frontends.onnx_model.text import shown

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def ordered(nodes: Sequence[NodeProto], given: Iterable[str], where: str) -> list[NodeProto]:
    """The nodes sorted stably by what they read; a graph that is in order comes back as it is.

    given: names that exist before the first node runs (inputs, initializers). Names from an enclosing graph need not
    be among them: what no node here makes is taken to exist. A node reads what its subgraphs read from outside.
    Raises FormatError on a cycle, and where two nodes make the same name or one makes a given one.
    """
    maker: dict[str, int] = {}
    taken = set(given)
    for position, node in enumerate(nodes):
        for output in node.output:
            if not output:
                continue
            if output in taken:
                raise FormatError(
                    f"{_node(node)} in {where} makes {shown(output)}, which is an input or an initializer"
                )
            if output in maker:
                raise FormatError(
                    f"{_node(nodes[maker[output]])} and {_node(node)} in {where} both make {shown(output)}"
                )
            maker[output] = position
    reads = [[maker[name] for name in _reads(node) if name in maker] for node in nodes]
    if all(made < position for position, before in enumerate(reads) for made in before):
        return list(nodes)
    return [nodes[position] for position in _sorted(reads, nodes, where)]


def _sorted(reads: list[list[int]], nodes: Sequence[NodeProto], where: str) -> list[int]:
    waiting = [len(set(before)) for before in reads]
    readers: list[list[int]] = [[] for _ in nodes]
    for position, before in enumerate(reads):
        for made in set(before):
            readers[made].append(position)
    ready = [position for position, count in enumerate(waiting) if not count]
    heapify(ready)
    order: list[int] = []
    while ready:
        position = heappop(ready)
        order.append(position)
        for reader in readers[position]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heappush(ready, reader)
    if len(order) < len(nodes):
        stuck = next(position for position, count in enumerate(waiting) if count)
        raise FormatError(f"{where} has a cycle: {_node(nodes[stuck])} waits for its own result")
    return order


def _reads(node: NodeProto) -> Iterable[str]:
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        if attribute.HasField("g"):
            names.extend(free_names(attribute.g))
        for graph in attribute.graphs:
            names.extend(free_names(graph))
    return names


def free_names(graph: GraphProto) -> set[str]:
    """The names that a subgraph reads from the graphs around it."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {sparse.values.name for sparse in graph.sparse_initializer}
    read = {value.name for value in graph.output}
    for node in graph.node:
        own.update(node.output)
        read.update(_reads(node))
    return read - own


def _node(node: NodeProto) -> str:
    label = node.name or (node.output[0] if node.output else "")
    return f"node {shown(label)} ({shown(node.op_type)})"
