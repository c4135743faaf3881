"""Containers that cannot run as a whole (a generator beside its discriminator): each part is recorded by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from initadvisor.frontends.torch_module.parameters import Names
from initadvisor.graph import Coverage, Event, Graph

Load = Callable[[torch.nn.Module], Graph]


def has_no_forward(module: torch.nn.Module) -> bool:
    """Whether a module defines no forward pass of its own."""
    return getattr(type(module), "forward", None) is torch.nn.Module.forward and "forward" not in vars(module)


def recorded_parts(module: torch.nn.Module, load: Load, target: str, notes: list[str]) -> Graph | None:
    """One graph of the separately recorded children, or None where there is nothing to record."""
    children = [(n, c) for n, c in module.named_children() if any(True for _ in c.parameters())]
    if not children or any(True for p in module._parameters.values() if p is not None):
        return None
    names = Names(module)
    first = {alias: p.name for p in names.parameters.values() for alias in (p.name, *p.aliases)}
    whole = Graph(target=target, source="torch", parameters=names.parameters)
    whole.coverage = Coverage("parts", notes=[*notes, f"no forward pass of its own: {len(children)} parts recorded"])
    for path, child in children:
        _append(whole, load(child), path, first)
    return whole


def _append(whole: Graph, part: Graph, path: str, first: dict[str, str]) -> None:
    values, nodes = len(whole.values), len(whole.nodes)

    def moved(ids: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(None if i is None else i + values for i in ids)

    for value in part.values:
        name = f"{path}.{value.parameter}" if value.parameter else None
        producer = None if value.producer is None else value.producer + nodes
        parameter = first.get(name, name) if name else None
        whole.values.append(replace(value, id=value.id + values, producer=producer, parameter=parameter))
    for node in part.nodes:
        scope = f"{path}.{node.scope}" if node.scope else path
        outputs = tuple(o + values for o in node.outputs)
        whole.nodes.append(replace(node, id=node.id + nodes, inputs=moved(node.inputs), outputs=outputs, scope=scope))
    whole.inputs += tuple(i + values for i in part.inputs)
    whole.outputs += tuple(o + values for o in part.outputs)
    whole.edges = whole.edges and part.edges
    for event in part.events:
        whole.events.append(Event(event.kind, f"{path}: {event.message}", event.where))
    whole.coverage.notes += [f"{path} ({part.coverage.capture}): {note}" for note in part.coverage.notes]
    for native, count in part.coverage.opaque.items():
        whole.coverage.opaque[native] = whole.coverage.opaque.get(native, 0) + count
