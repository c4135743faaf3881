"""Small graphs written by hand, and modules recorded, for the structure tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from initadvisor.analysis.structure import describe
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module import load
from initadvisor.graph import Graph, Layer, Node, Parameter, Shape, Value


class Sketch:
    """A graph built one operator at a time; every method returns the id of the value that it makes."""

    def __init__(self, source: str = "onnx") -> None:
        self.graph = Graph("sketch", source)  # type: ignore[arg-type]

    def _value(self, kind: str, shape: Shape | None, **more: Any) -> int:
        number = len(self.graph.values)
        self.graph.values.append(
            Value(number, more.pop("name", f"v{number}"), shape, more.pop("dtype", "float32"), kind, **more)
        )  # type: ignore[arg-type]
        return number

    def input(self, *shape: int | None, dtype: str = "float32") -> int:
        """A model input."""
        number = self._value("input", shape, dtype=dtype)
        self.graph.inputs = (*self.graph.inputs, number)
        return number

    def parameter(self, name: str, *shape: int, buffer: bool = False) -> int:
        """A parameter; the same name gives one more use of the same parameter."""
        self.graph.parameters.setdefault(name, Parameter(name, shape, "float32", None, buffer=buffer))
        return self._value("parameter", shape, parameter=name)

    def constant(self, value: Any) -> int:
        """Known numbers."""
        array = np.asarray(value, dtype=np.float64 if isinstance(value, float) else None)
        return self._value("constant", array.shape, constant=array, dtype=str(array.dtype))

    def add(self, op: str, inputs: list[int | None], shape: Shape | None, *, scope: str = "", **attrs: Any) -> int:
        """One operator with one result."""
        return self.add_many(op, inputs, [shape], scope=scope, **attrs)[0]

    def add_many(
        self, op: str, inputs: list[int | None], shapes: list[Shape | None], *, scope: str = "", **attrs: Any
    ) -> list[int]:
        """One operator with several results."""
        number = len(self.graph.nodes)
        outputs = [self._value("result", shape, producer=number) for shape in shapes]
        self.graph.nodes.append(Node(number, op, tuple(inputs), tuple(outputs), attrs, scope))
        return outputs

    def linear(self, x: int, name: str, into: int, out: int, lead: tuple[int, ...] = (4,)) -> int:
        """A linear layer with a weight called name.weight."""
        return self.add("linear", [x, self.parameter(f"{name}.weight", out, into)], (*lead, out), scope=name)

    def done(self, *outputs: int) -> dict[str, Layer]:
        """The described layers by name."""
        self.graph.outputs = outputs
        return by_name(describe(self.graph))


def by_name(graph: Graph) -> dict[str, Layer]:
    """The layers of a described graph; two of one name would hide each other."""
    names = [layer.name for layer in graph.layers]
    assert len(names) == len(set(names)), f"layers share a name: {sorted(n for n in names if names.count(n) > 1)}"
    return {layer.name: layer for layer in graph.layers}


def recorded(module: torch.nn.Module, *example: torch.Tensor) -> Graph:
    """The described graph of a module."""
    return describe(load(module, LoadOptions(example=example)))


def activation(layer: Layer) -> str | None:
    """The name of a layer's activation."""
    return layer.activation.name if layer.activation else None


def spans(layer: Layer) -> list[tuple[str, int, int]]:
    """(name, start, stop) of a layer's blocks."""
    return [(b.name, b.start, b.stop) for b in layer.blocks]
