"""The frontend-neutral graph: what every frontend produces and everything else reads.

A `Graph` holds `Value`s (tensors that flow), `Node`s (operators under their canonical name, see
`initadvisor.ops`), `Parameter`s (weights and buffers, never copied) and `Layer`s (what a person calls a layer:
a weight with its fans, activation, norms and role). Frontends fill values, nodes and parameters;
`initadvisor.analysis.structure` reads the layers from them. Standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal, Protocol

import numpy as np

Dim = int | None
"""A size, or None where it is not known before the model runs."""

Shape = tuple[Dim, ...]


class TensorSource(Protocol):
    """Where the elements of a parameter lie. Reading streams: no method may copy a whole tensor.

    `dtype` is the storage type by its numpy-style name ("float32", "bfloat16", "float8_e4m3fn", "int8" ...).
    """

    dtype: str
    shape: tuple[int, ...]

    def chunks(self, elements: int) -> Iterator[np.ndarray]:
        """Yield the elements in C order as 1-D float32 or float64 arrays of `elements` each (the last shorter).

        A chunk may be a view of read-only memory; it is valid until the next one is asked for.
        """
        ...

    def raw(self) -> np.ndarray | None:
        """The stored elements as a flat, read-only view without conversion, or None where there is no such view.

        bfloat16 comes as uint16 and 8-bit floats as uint8: fit for hashing and bitwise comparison only.
        """
        ...


@dataclass(slots=True, eq=False)
class Value:
    """A tensor that flows between nodes.

    `constant` holds the elements where they are known and few (at most 65,536): scalars, shapes, small tables.
    """

    id: int
    name: str
    shape: Shape | None
    dtype: str | None
    kind: Literal["input", "parameter", "constant", "result"]
    producer: int | None = None
    parameter: str | None = None
    constant: np.ndarray | None = None

    @property
    def size(self) -> int | None:
        """The number of elements, or None where a dimension is unknown."""
        if self.shape is None or any(d is None for d in self.shape):
            return None
        return prod(d for d in self.shape if d is not None)


@dataclass(slots=True, eq=False)
class Node:
    """One operator call.

    `op` is canonical (`initadvisor.ops`), or "opaque" where the frontend could not name it; `native` is what the
    source calls it ("Conv", "torch.nn.functional.conv2d"). `inputs` follow the operator's declared slots, with None
    for an absent optional one. `scope` is the module path ("layer1.0.conv1", "" for the root) and `call` tells the
    nth call of that module. `attrs` use the canonical attribute names of the operator.
    """

    id: int
    op: str
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    scope: str = ""
    call: int = 0
    native: str = ""
    line: str | None = None


@dataclass(slots=True, eq=False)
class Parameter:
    """A tensor that belongs to the model: a weight, or a buffer such as a running mean.

    `source` is None where the elements are not there (meta device, shapes only): facts about them are unknown.
    `aliases` are further names of the same storage (tied weights). `trainable` is None where the source cannot say.
    `stored_in` names the tensors of the file that hold the elements, where their names differ from `name`; parameters
    that name the same one are equal by value and were merged by an exporter: that is no tie. `pieces` says where the
    elements lie in C order: (tensor of the file, first element, end), empty where that is not known.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    source: TensorSource | None
    aliases: tuple[str, ...] = ()
    trainable: bool | None = None
    buffer: bool = False
    stored_in: tuple[str, ...] = ()
    pieces: tuple[tuple[str, int, int], ...] = ()

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether the elements are real numbers stored as floats."""
        return self.dtype.startswith(("float", "bfloat"))


@dataclass(slots=True, frozen=True)
class Layout:
    """How the axes of a stored weight are to be read, so that fans never depend on a storage convention.

    `out_axes` and `in_axes` are axes of the stored tensor; every axis in neither is a kernel axis, or a batch axis
    of independent matrices (`batch_axes`, as in an expert bank). `groups` is that of a grouped convolution;
    `grouped_axis` says which side is already divided by it in storage: "in" (convolution) or "out" (transposed
    convolution). `stride` is the product of the strides. `transposed` marks a transposed convolution.
    """

    out_axes: tuple[int, ...]
    in_axes: tuple[int, ...]
    batch_axes: tuple[int, ...] = ()
    groups: int = 1
    stride: int = 1
    transposed: bool = False

    def kernel_axes(self, rank: int) -> tuple[int, ...]:
        """The axes of the receptive field."""
        used = {*self.out_axes, *self.in_axes, *self.batch_axes}
        return tuple(a for a in range(rank) if a not in used)

    def receptive_field(self, shape: tuple[int, ...]) -> int:
        """The number of kernel elements."""
        return prod(shape[a] for a in self.kernel_axes(len(shape)))

    def channels_in(self, shape: tuple[int, ...]) -> int:
        """The number of input channels of the whole operator, groups counted in."""
        return prod(shape[a] for a in self.in_axes) * (1 if self.transposed else self.groups)

    def channels_out(self, shape: tuple[int, ...]) -> int:
        """The number of output channels of the whole operator, groups counted in."""
        return prod(shape[a] for a in self.out_axes) * (self.groups if self.transposed else 1)

    def fan_in(self, shape: tuple[int, ...]) -> float:
        """Inputs summed into one output element: variance 1/fan_in keeps the second moment forward.

        A transposed convolution of stride s sums (in/groups) k / s terms per output element on average.
        """
        fan = self.channels_in(shape) / self.groups * self.receptive_field(shape)
        return fan / self.stride if self.transposed else fan

    def fan_out(self, shape: tuple[int, ...]) -> float:
        """Outputs that one input element feeds: variance 1/fan_out keeps the second moment backward.

        A convolution of stride s feeds (out/groups) k / s elements on average; the framework convention, which
        ignores the stride, is `conventional_fans`.
        """
        fan = self.channels_out(shape) / self.groups * self.receptive_field(shape)
        return fan if self.transposed else fan / self.stride

    def conventional_fans(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(fan_in, fan_out) as `torch.nn.init` computes them from the stored shape alone: axis 1 is in, axis 0 out."""
        if len(shape) < 2:
            return (shape[0] if shape else 1, shape[0] if shape else 1)
        field_size = prod(shape[2:])
        return shape[1] * field_size, shape[0] * field_size


@dataclass(slots=True, frozen=True)
class Block:
    """A part of a stored weight that is a matrix of its own: one of q, k, v; a gate; an expert.

    It covers [start, stop) along `axis` of the stored tensor.
    """

    name: str
    axis: int
    start: int
    stop: int
    fan_in: float
    fan_out: float


@dataclass(slots=True, frozen=True)
class Activation:
    """The function between a pre-activation and the next weighted operator.

    `name` is the field's ("relu", "gelu", "silu" ...), "linear" for none and "unknown" where a function was seen but
    not recognised. `second_moment` is E[f(z)^2] and `slope_moment` E[f'(z)^2] for z ~ N(0, 1). `gated` is True where
    the result multiplies another projection (GLU); the layer that holds the gate carries the function.
    """

    name: str
    params: tuple[tuple[str, float], ...] = ()
    second_moment: float | None = None
    slope_moment: float | None = None
    gated: bool = False


ResidualRole = Literal["branch_end", "in_branch", "trunk"]


@dataclass(slots=True, eq=False)
class Layer:
    """A weight in its place: what it is, what it needs, what surrounds it. Absent means unknown.

    `weight` and `bias` are parameter names. `fan_in`/`fan_out` are those of one block where `blocks` is not empty.
    `depth` counts the weighted layers on the longest path from an input up to this one, itself included.
    `norm_before`/`norm_after` are the names of norm layers reached without an activation between.
    `scale_invariant` is True where a norm follows that erases the scale of this weight.
    `attrs` holds what only some kinds have (eps, groups and buffers of a norm, the stretch a layer belongs to, what
    its weight is reparametrised by): every key is documented in `initadvisor.analysis.structure`.
    """

    name: str
    op: str
    kind: Literal["linear", "norm", "embedding", "recurrent", "scale", "table"]
    weight: str | None
    bias: str | None = None
    node: int | None = None
    layout: Layout | None = None
    blocks: tuple[Block, ...] = ()
    fan_in: float | None = None
    fan_out: float | None = None
    groups: int = 1
    receptive_field: int = 1
    activation: Activation | None = None
    norm_before: str | None = None
    norm_after: str | None = None
    scale_invariant: bool | None = None
    residual_role: ResidualRole | None = None
    depth: int | None = None
    tied_to: tuple[str, ...] = ()
    role: str | None = None
    scope: str = ""
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Coverage:
    """What share of the model was understood; `capture` names the step of the fallback ladder that was used.

    failure: why no forward pass of a model that has one could be followed; "" where one was.
    """

    capture: str
    parameters: float = 0.0
    operators: float = 0.0
    notes: list[str] = field(default_factory=list)
    opaque: dict[str, int] = field(default_factory=dict)
    failure: str = ""


@dataclass(slots=True)
class Event:
    """Something assumed or guessed while reading: a data-dependent branch, an inferred input, a missing kernel."""

    kind: str
    message: str
    where: str | None = None


@dataclass(slots=True, frozen=True)
class Marker:
    """What a model says of its own faults: that some of them are meant, and why.

    layers: globs over names of layers and tensors. expires: the last day, as an ISO date. from_code: whether a person
    wrote it beside the model's code, which runs anyway; otherwise it came with a file, perhaps from a stranger.
    """

    layers: tuple[str, ...]
    reason: str
    rules: tuple[str, ...] = ()
    expires: str | None = None
    origin: str = ""
    from_code: bool = False


@dataclass(slots=True, eq=False)
class Graph:
    """A model as this package sees it. `values[i].id == i`, `nodes[i].id == i`; nodes are in execution order.

    `edges` is False where only the parameters are known (a state dict): rules that need a graph are not evaluated.
    `summary` holds what structure found about the whole model (residual adds, output activation ...); `markers` what
    the model itself says that it does on purpose.
    """

    target: str
    source: Literal["torch", "onnx", "checkpoint"]
    values: list[Value] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    coverage: Coverage = field(default_factory=lambda: Coverage("none"))
    events: list[Event] = field(default_factory=list)
    edges: bool = True
    summary: dict[str, Any] = field(default_factory=dict)
    markers: list[Marker] = field(default_factory=list)

    def consumers(self) -> list[list[tuple[int, int]]]:
        """For every value, the (node id, slot) pairs that read it. Linear in the graph; keep the result."""
        table: list[list[tuple[int, int]]] = [[] for _ in self.values]
        for node in self.nodes:
            for slot, value in enumerate(node.inputs):
                if value is not None:
                    table[value].append((node.id, slot))
        return table
