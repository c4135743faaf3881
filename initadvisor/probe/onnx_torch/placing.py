"""The tree of modules: nodes under the names of the frontend's layers, stored tensors under their ONNX names.

A layer "encoder.0.linear1" becomes the submodule of that path, and its "encoder.0.linear1.weight" hangs on it, as in
a torch module. Names that torch cannot take (an empty part, a name that is taken) get an underscore.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from initadvisor.graph import Graph, Layer
from initadvisor.probe.onnx_torch.program import Leaf, Step

if TYPE_CHECKING:
    from initadvisor.probe.onnx_torch.compiling import Compiler
    from initadvisor.probe.onnx_torch.module import OnnxModule


class Scope(torch.nn.Module):  # type: ignore[misc]
    """A place in the tree that runs nothing itself."""


def place(module: OnnxModule, compiler: Compiler, graph: Graph) -> None:
    """Hang the nodes and leaves of a compiled program under a module and say in `module.onnx` where they are."""
    steps = _steps_of(graph, compiler.steps)
    layers = _layers(graph, steps)
    paths: dict[int, str] = {}
    for name, step in layers.items():
        paths.setdefault(id(step), name)
    scopes = {id(step): graph.nodes[at].scope for at, step in steps.items()}
    for at, step in enumerate(compiler.steps):
        kind = step.node.spelling.replace("::", "_").replace(".", "_")
        scope = scopes.get(id(step), "")
        paths.setdefault(id(step), f"{scope}.{kind}_{at}" if scope else f"{kind}_{at}")
    tree = _Tree(module, {leaf.name for leaf in compiler.leaves})
    placed: dict[int, str] = {}
    for step in sorted(compiler.steps, key=lambda step: paths[id(step)].count(".")):
        placed[id(step)] = tree.module(paths[id(step)], step.node)
    stored: dict[str, tuple[str, ...]] = {}
    for leaf in compiler.leaves:
        tree.leaf(leaf)
        for name in dict.fromkeys((leaf.name, leaf.stored)):
            stored[name] = (*stored.get(name, ()), leaf.path)
    module.onnx = replace(
        module.onnx,
        layers={name: placed[id(step)] for name, step in layers.items()},
        parameters=_parameters(graph, compiler.leaves),
        stored=stored,
    )


def _steps_of(graph: Graph, steps: list[Step]) -> dict[int, Step]:
    """Node of the frontend's graph -> step, by what they make; in functions the same names come again in order."""
    makers: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        for name in step.made:
            if name:
                makers[name].append(step)
    seen: dict[str, int] = defaultdict(int)
    found: dict[int, Step] = {}
    for node in graph.nodes:
        for output in node.outputs:
            name = graph.values[output].name
            inside = name not in makers
            made = makers.get(name.rpartition(" (")[0] if inside else name, ())
            turn = seen[name]
            seen[name] += 1
            if made:
                found.setdefault(node.id, made[min(turn, len(made) - 1)])
    return found


def _layers(graph: Graph, steps: dict[int, Step]) -> dict[str, Step]:
    """Layer -> the step whose output is the layer's: where its bias is added, if that is a node of its own."""
    consumers = graph.consumers()
    found: dict[str, Step] = {}
    for layer in graph.layers:
        if layer.node is None or layer.node not in steps:
            continue
        found[layer.name] = steps[_end(graph, layer, layer.node, consumers, steps)]
    return found


def _end(graph: Graph, layer: Layer, start: int, consumers: list[list[tuple[int, int]]], steps: dict[int, Step]) -> int:
    if layer.bias is None:
        return start
    for output in graph.nodes[start].outputs[:1]:
        for reader, _ in consumers[output]:
            node = graph.nodes[reader]
            biases = [graph.values[v].parameter for v in node.inputs if v is not None]
            if node.op == "add" and layer.bias in biases and reader in steps:
                return reader
    return start


def _parameters(graph: Graph, leaves: list[Leaf]) -> dict[str, tuple[str, ...]]:
    """Parameter of the frontend -> paths of what holds its elements."""
    holding: dict[str, list[Leaf]] = defaultdict(list)
    for leaf in leaves:
        holding[leaf.stored].append(leaf)
    found: dict[str, tuple[str, ...]] = {}
    for parameter in graph.parameters.values():
        paths = []
        for stored in dict.fromkeys(name for name, _, _ in parameter.pieces):
            held = holding.get(stored, [])
            own = [leaf for leaf in held if leaf.name == parameter.name]
            paths += [leaf.path for leaf in own or held]
        if paths:
            found[parameter.name] = tuple(paths)
    return found


class _Tree:
    """Hangs modules and tensors under a root; names of stored tensors are kept free for those."""

    def __init__(self, root: Any, reserved: set[str]) -> None:
        self._root = root
        self._reserved = reserved

    def module(self, path: str, node: Any) -> str:
        """Hang a module; gives the path that it got."""
        *parts, last = path.split(".")
        owner, prefix = self._owner(parts)
        name = last or "_"
        while hasattr(owner, name) or prefix + name in self._reserved:
            name += "_"
        owner.add_module(name, node)
        return prefix + name

    def leaf(self, leaf: Leaf) -> None:
        """Hang a stored tensor as a parameter or a buffer and say where it is."""
        *parts, last = leaf.name.split(".")
        owner, prefix = self._owner(parts)
        name = last or "_"
        while hasattr(owner, name):
            name += "_"
        if leaf.trainable:
            owner.register_parameter(name, torch.nn.Parameter(leaf.tensor))
        else:
            owner.register_buffer(name, leaf.tensor)
        leaf.owner, leaf.attribute, leaf.path, leaf.tensor = owner, name, prefix + name, None

    def _owner(self, parts: list[str]) -> tuple[Any, str]:
        """The module at a path, made where it is missing, and its path as a prefix."""
        here, prefix = self._root, ""
        for part in parts:
            name = part or "_"
            while name not in here._modules and (hasattr(here, name) or prefix + name in self._reserved):
                name += "_"
            if name not in here._modules:
                here.add_module(name, Scope())
            here = here._modules[name]
            prefix = f"{prefix}{name}."
        return here, prefix
