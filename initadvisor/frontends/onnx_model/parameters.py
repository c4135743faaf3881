"""Which uses of stored tensors are one parameter.

Exporters merge equal initializers: all zero biases of one size, all unit scales, the weights of copied layers. Such
tensors are one in the file and several in the module, each is read as its own. A tensor with drawn values that an
embedding and a product share is one parameter used twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from initadvisor.frontends.onnx_model import calls, ties
from initadvisor.frontends.onnx_model.builder import Builder
from initadvisor.frontends.onnx_model.naming import BLOCK, Named, Naming
from initadvisor.frontends.onnx_model.operands import Use
from initadvisor.frontends.onnx_model.pieces import pieces_of
from initadvisor.frontends.onnx_model.tensors import Tensor, uniform
from initadvisor.graph import Event, Parameter


def assign(builder: Builder) -> None:
    """Turn the uses of stored tensors into parameters and their values, and fill them into the nodes."""
    calls.number_calls(builder)
    naming = Naming(builder)
    groups: dict[int, list[Use]] = {}
    for use in builder.values.uses:
        groups.setdefault(id(use.tensor.storage), []).append(use)
    families: list[list[Named]] = []
    merged = 0
    for uses in groups.values():
        found = _families([naming.name(use, uses) for use in uses], naming)
        merged += len(found) > 1
        families += found
    parameters = _by_name(builder, families)
    for name, family in parameters.items():
        _enter(builder, naming, name, family, parameters)
    calls.place_weighted(builder)
    if merged:
        message = f"{merged} stored tensors are shared by several parameters with equal values; each is read as its own"
        builder.graph.events.append(Event("merged_initializers", message))


def _by_name(builder: Builder, families: list[list[Named]]) -> dict[str, list[Named]]:
    """One parameter for each family; two that are the same elements become one, two of the same name get two."""
    for table, product in ties.embeddings(builder, families):
        if table and product and (whole := ties.joined(builder, table, product)) is not None:
            table[:], product[:] = whole, []
    found: dict[str, list[Named]] = {}
    for family in filter(None, families):
        name = family[0].name
        if name in found:
            whole = ties.joined(builder, found[name], family)
            if whole is not None:
                found[name] = whole
                continue
            name = _free(family[0], found)
        found[name] = family
    return found


def _enter(builder: Builder, naming: Naming, name: str, family: list[Named], taken: Iterable[str]) -> None:
    graph = builder.graph
    first = family[0].use.tensor
    others = [n for named in family for n in (named.name, naming.tied_name(named.use)) if n is not None]
    aliases = tuple(n for n in dict.fromkeys(others) if n not in taken) if len(family) > 1 else ()
    stored = tuple(n for n in dict.fromkeys(_stored_in(first)) if n != name)
    buffer = all(named.use.buffer for named in family)
    pieces = tuple((piece.tensor.storage.name, piece.start, piece.stop) for piece in pieces_of(first))
    source = first.source()
    graph.parameters[name] = Parameter(name, first.shape, first.dtype, source, aliases, None, buffer, stored, pieces)
    values: dict[tuple[int, ...], int] = {}
    for named in family:
        shape = named.use.tensor.shape
        if shape not in values:
            values[shape] = builder.values.add(name, shape, first.dtype, "parameter")
            graph.values[values[shape]].parameter = name
        _fill(builder, named.use, values[shape])


def _stored_in(tensor: Tensor) -> Iterable[str]:
    if tensor.pieces is not None:
        return (piece.tensor.storage.name for piece in tensor.pieces)
    return (tensor.storage.name,)


def _fill(builder: Builder, use: Use, value: int) -> None:
    graph = builder.graph
    if use.node < 0:
        graph.outputs = (*graph.outputs[: use.position], value, *graph.outputs[use.position + 1 :])
        return
    node = graph.nodes[use.node]
    node.inputs = (*node.inputs[: use.position], value, *node.inputs[use.position + 1 :])


def _families(group: list[Named], naming: Naming) -> list[list[Named]]:
    """The uses of one stored tensor, parted into those that are one parameter."""
    if len(group) == 1:
        return [group]
    by_name: dict[str, list[Named]] = {}
    for named in group:
        by_name.setdefault(named.name, []).append(named)
    tensor = group[0].use.tensor.storage
    if len(by_name) == 1:
        apart = len({named.use.node for named in group}) > 1 and not group[0].sure and naming.placeless(group)
        if apart and uniform(tensor):
            return [[Named(named.use, naming.own_name(named.use), False)] for named in group]
        return [group]
    if uniform(tensor):
        return list(by_name.values())
    sure = [uses for uses in by_name.values() if any(named.sure for named in uses)]
    if len(sure) > 1:
        rest = [named for uses in by_name.values() if not any(n.sure for n in uses) for named in uses]
        return [[*sure[0], *rest], *sure[1:]]
    if len({BLOCK.sub("#", name) for name in by_name}) == 1:
        return list(by_name.values())  # the same place in repeated blocks: copies, not one tensor used twice
    return [group]


def _free(named: Named, taken: Iterable[str]) -> str:
    """Another name for a parameter whose own is taken: what the file calls the tensor, else numbered."""
    stored = named.use.tensor.name
    if stored not in taken:
        return stored
    count = 2
    while f"{named.name}.{count}" in taken:
        count += 1
    return f"{named.name}.{count}"
