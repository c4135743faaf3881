"""A graph as a list of steps over named values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from initadvisor.errors import FormatError
from initadvisor.frontends.onnx_model.text import shown
from initadvisor.probe.onnx_torch.node import OnnxNode

HOST_ELEMENTS = 4096
"""Integer tensors up to this size are read from the host: they are shapes, axes and indices."""


@dataclass(slots=True, eq=False)
class Leaf:
    """A stored tensor: a parameter or a buffer of the module, under the name that ONNX gives it.

    stored: the tensor of the file that it was read from. owner, attribute: where in the module it hangs. path: the
    name that torch gives it. host: a copy that stays on the host, for small integers.
    """

    name: str
    tensor: Any
    trainable: bool
    stored: str = ""
    owner: Any = None
    attribute: str = ""
    path: str = ""
    host: Any = None

    def value(self) -> Any:
        """What the leaf holds now."""
        return self.host if self.host is not None else getattr(self.owner, self.attribute)


@dataclass(slots=True, eq=False)
class Step:
    """One node: the names of what it reads ("" for nothing) and makes, and which names nothing reads after it.

    made: its outputs as the file calls them; inside of functions those names repeat.
    """

    node: OnnxNode
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    made: tuple[str, ...]
    release: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Program:
    """Runs the steps of one graph or subgraph."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    leaves: dict[str, Leaf] = field(default_factory=dict)

    def plan_release(self) -> None:
        """Find the last reader of every value, so that nothing is kept longer than it is needed."""
        last: dict[str, int] = {}
        for at, step in enumerate(self.steps):
            for name in (*step.inputs, *step.outputs):
                last[name] = at
        kept = {*self.outputs, *self.leaves, ""}
        released: dict[int, list[str]] = {}
        for name, at in last.items():
            if name not in kept:
                released.setdefault(at, []).append(name)
        for at, names in released.items():
            self.steps[at].release = tuple(names)

    def run(self, given: Mapping[str, Any]) -> list[Any]:
        """The outputs on given inputs and captured values, by name."""
        values: dict[str, Any] = dict(given)
        for name, leaf in self.leaves.items():
            values[name] = leaf.value()
        for step in self.steps:
            results = step.node(*[values[name] if name else None for name in step.inputs])
            self._bind(step, results, values)
            for name in step.release:
                values.pop(name, None)
        return [values[name] if name else None for name in self.outputs]

    def _bind(self, step: Step, results: Any, values: dict[str, Any]) -> None:
        found: Sequence[Any] = results if isinstance(results, tuple) else (results,)
        if len(found) < len(step.outputs):
            raise FormatError(
                f"node {shown(step.made[0])} ({shown(step.node.spelling)}) names {len(step.outputs)} outputs; "
                f"the operator makes {len(found)}"
            )
        values.update((name, result) for name, result in zip(step.outputs, found, strict=False) if name)


def host_copy(tensor: Any) -> Any:
    """A copy of a small integer tensor that stays on the host, else None."""
    if isinstance(tensor, torch.Tensor) and not tensor.is_floating_point() and tensor.numel() <= HOST_ELEMENTS:
        return tensor.clone()
    return None
