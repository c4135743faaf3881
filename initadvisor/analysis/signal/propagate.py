"""Walk the graph once forward and once back with second-order statistics instead of numbers.

Linear in operators; needs shapes and the mean and second moment of every weight, no data and no elements.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from initadvisor.analysis.signal.conditions import Conditions, Weights
from initadvisor.graph import Graph, Node, Value
from initadvisor.ops import OPERATORS
from initadvisor.ops.moments import BACKWARD, FORWARD, Call, Gradient, Signal
from initadvisor.ops.moments.activations import to_base
from initadvisor.ops.moments.axes import POSITIONS, of_input, plain
from initadvisor.ops.moments.losses import residual_of_softmax
from initadvisor.ops.moments.signal import constant_signal, independent, table_signal

_FLOATS = ("float", "bfloat")
_MISFITS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What a handler raises on a graph whose shapes or attributes do not fit its operator."""

_KEEP_DISTINCT = ("add", "sub", "reshape", "unsqueeze", "squeeze", "cast", "identity", "expand", "getitem", "slice")
"""Operators behind which numbers that are all different still are, along the positions."""

_CARRIES_NO_SIGNAL = ("create", "compare", "random")


@dataclass(slots=True)
class Propagation:
    """The statistics of every value, by value id; None where they are unknown.

    forward: signals. backward: gradients with respect to the value; for a parameter `q` is E[(dL/dw)^2].
    blocks: for parameters that hold several matrices (q, k, v), the same per block. unknown: operators through which
    no statistics were carried, with how often. attention: variance of the logits over a row, by node id.
    """

    forward: list[Signal | None]
    backward: list[Gradient | None]
    unknown: Counter[str] = field(default_factory=Counter)
    blocks: dict[int, tuple[float, ...]] = field(default_factory=dict)
    batch: int = 1
    attention: dict[int, float] = field(default_factory=dict)


def propagate(
    graph: Graph, weights: Weights, conditions: Conditions | None = None, *, backward: bool = True
) -> Propagation:
    """Predict forward signals and backward gradients at every value of the graph.

    weights: mean and second moment by parameter name, as measured or as a plan would draw them; a parameter that is
    not in it is unknown.
    """
    conditions = conditions or Conditions()
    run = Walk(graph, weights, conditions)
    run.ahead()
    if backward:
        run.back()
    return run.result


class Walk:
    """One way through a graph, forward and back; a subclass may look at each call before it is made (`_call`)."""

    def __init__(self, graph: Graph, weights: Weights, conditions: Conditions) -> None:
        self.graph = graph
        self.conditions = conditions
        self.batch = recorded_batch(graph)
        size = len(graph.values)
        self.result = Propagation([None] * size, [None] * size, batch=self.batch)
        self.calls: list[Call | None] = [None] * len(graph.nodes)
        self.next_source = 0
        self.lost = [False] * size
        for value in graph.values:
            start = self._start(value, weights)
            if start is not None:
                self._keep(value.id, start)

    def _start(self, value: Value, weights: Weights) -> Signal | None:
        shape = dims(value.shape, self.batch)
        if value.constant is not None and (value.dtype or "").startswith((*_FLOATS, "int", "uint")):
            return _of_constant(value.constant, shape)
        if value.kind == "parameter" and value.parameter is not None:
            known = weights.get(value.parameter)
            self.lost[value.id] = known is None
            return None if known is None else independent(known.mean, known.q, plain(shape), free=True)
        if value.kind == "input":
            return self._input(value, shape)
        return None

    def _input(self, value: Value, shape: tuple[int, ...]) -> Signal:
        c = self.conditions
        number = value.dtype is None or value.dtype.startswith(_FLOATS)
        axes = of_input(shape, self.batch, tokens=not number)
        square = c.input_mean**2
        variance = c.input_q - square
        return Signal(
            c.input_mean,
            c.input_q,
            square,
            square + c.input_positions * variance,
            square + c.input_samples * variance,
            axes,
        )

    def _keep(self, value: int, signal: Signal) -> None:
        if signal.value_id < 0:
            signal.value_id = value
        if not signal.sources and not signal.free and signal.constant is None and signal.variance > 0.0:
            signal.sources = {self.next_source: math.sqrt(signal.variance)}
            self.next_source += 1
        self.result.forward[value] = signal

    def ahead(self) -> None:
        """Forward: each node once, in order."""
        for node in self.graph.nodes:
            call = self._call(node)
            made = self._forward(node, call)
            call.outputs = made
            self.calls[node.id] = call
            if "logits" in call.memory:
                self.result.attention[node.id] = call.memory["logits"]
            for place, value in enumerate(node.outputs):
                signal = made[place] if place < len(made) else None
                if signal is not None and math.isfinite(signal.q) and math.isfinite(signal.mean):
                    self._keep(value, signal)
            if not any(s is not None for s in made) and self._loses(node, call):
                self.result.unknown[node.op if node.op != "opaque" else f"opaque:{node.native}"] += 1
            if not any(s is not None for s in made):
                for value in node.outputs:
                    self.lost[value] = True

    def _forward(self, node: Node, call: Call) -> list[Signal | None]:
        """The handler's answer; a call that it cannot make sense of is one without statistics."""
        handler = FORWARD.get(node.op)
        try:
            made = [] if handler is None else handler(call)
            if not any(s is not None for s in made):
                made = self._anchored(node, call) or self._tables(node, call)
        except _MISFITS as error:
            self.result.unknown[f"{node.op}: {type(error).__name__}"] += 1
            return []
        return made

    def _call(self, node: Node) -> Call:
        values = self.graph.values
        forward = self.result.forward
        shapes = [None if v is None else dims(values[v].shape, self.batch) for v in node.inputs]
        return Call(
            node.op,
            node.attrs,
            [None if v is None else forward[v] for v in node.inputs],
            [v is not None for v in node.inputs],
            shapes,
            [dims(values[v].shape, self.batch) for v in node.outputs],
            self.conditions.norm_batch or self.batch,
        )

    def _anchored(self, node: Node, call: Call) -> list[Signal | None]:
        """Behind a norm the second moment is known even where its input is not."""
        entry = OPERATORS.get(node.op)
        shape = call.output_shapes[0] if call.output_shapes else None
        if entry is None or entry.family != "norm" or shape is None or not call.lost(0):
            return []
        call.inputs[0] = independent(0.0, 1.0, of_input(shape, self.batch))
        made = FORWARD[node.op](call) if node.op in FORWARD else []
        self.result.unknown[f"{node.op} of an unknown input"] += 1
        call.inputs[0] = None
        return made

    def _tables(self, node: Node, call: Call) -> list[Signal | None]:
        """Numbers made of sizes and constants alone."""
        flows = [s for s in call.inputs if s is not None and not s.table and s.constant is None]
        missing = any(
            here and s is None and self.lost[v]
            for here, s, v in zip(call.present, call.inputs, node.inputs, strict=True)
            if v is not None
        )
        if flows or missing or node.op == "opaque":
            return []
        visible = min((s.visible for s in call.inputs if s is not None), default=1.0)
        counted = [s for s in call.inputs if s is not None and s.constant is None]
        distinct = node.op == "arange" or (node.op in _KEEP_DISTINCT and any(s.distinct for s in counted))
        return [
            None if shape is None else table_signal(plain(shape, POSITIONS), visible, distinct=distinct)
            for shape in call.output_shapes
        ]

    def _loses(self, node: Node, call: Call) -> bool:
        """Whether a signal ends here that should have gone on, and had not ended before."""
        entry, values = OPERATORS.get(node.op), self.graph.values
        if entry is not None and entry.family in _CARRIES_NO_SIGNAL:
            return False
        if any(v is not None and self.lost[v] and values[v].kind == "result" for v in node.inputs):
            return False
        floats = any((values[v].dtype or "float").startswith((*_FLOATS, "complex")) for v in node.outputs)
        return floats and any(s is not None and s.constant is None for s in call.inputs)

    def back(self) -> None:
        """Backward: gradients of all consumers are summed before a node hands them on."""
        for value in self.graph.outputs:
            start = self._seed(value)
            if start is not None:
                self._add(value, start)
        for node in reversed(self.graph.nodes):
            self._node_back(node)

    def _seed(self, value: int) -> Gradient | None:
        signal = self.result.forward[value]
        if signal is None or not (self.graph.values[value].dtype or "float").startswith(_FLOATS):
            return None
        if self.conditions.gradient == "unit":
            return Gradient(1.0)
        n = signal.counts()
        if n.total == 1:
            return Gradient(1.0)  # a loss
        # over the number of terms that the loss averages
        return Gradient(residual_of_softmax(signal.variance, n.features) / (n.samples * n.positions) ** 2)

    def _node_back(self, node: Node) -> None:
        gradients: list[Gradient | None] = []
        for value in node.outputs:
            gradient = self.result.backward[value]
            signal = self.result.forward[value]
            base = signal.base if signal is not None and signal.value_id == value else None
            if gradient is not None and signal is not None and base is not None and base.value_id >= 0:
                # a function of another value: the gradient goes there at once
                self._add(base.value_id, to_base(signal, gradient))
                gradient = None
            gradients.append(gradient)
        call = self.calls[node.id]
        handler = BACKWARD.get(node.op)
        if call is None or not any(g is not None for g in gradients):
            return
        if handler is None:
            self.result.unknown[f"{node.op} (gradient)"] += 1
            return
        try:
            made = handler(call, gradients)
        except _MISFITS as error:
            self.result.unknown[f"{node.op} (gradient): {type(error).__name__}"] += 1
            return
        for source, given in zip(node.inputs, made, strict=False):
            if source is not None and given is not None and math.isfinite(given.q):
                self._add(source, given)
        for slot, parts in call.memory.get("blocks", {}).items():
            held = node.inputs[slot]
            if held is not None:
                self.result.blocks[held] = parts

    def _add(self, value: int, gradient: Gradient) -> None:
        held = self.result.backward[value]
        self.result.backward[value] = gradient if held is None else held.plus(gradient)


def recorded_batch(graph: Graph) -> int:
    """The number of samples of the recorded run: the leading size of the first input that has one."""
    for value in graph.inputs:
        shape = graph.values[value].shape
        if shape:
            return shape[0] or 1
    return 1


def dims(shape: Sequence[int | None] | None, batch: int) -> tuple[int, ...]:
    """A shape with unknown sizes filled in: the batch in front, 1 elsewhere."""
    if shape is None:
        return ()
    return tuple(d if d is not None else (batch if place == 0 else 1) for place, d in enumerate(shape))


def _of_constant(constant: np.ndarray, shape: tuple[int, ...]) -> Signal | None:
    numbers = np.asarray(constant, dtype=np.float64)
    if numbers.size == 0:
        return None
    if numbers.size == 1:
        return constant_signal(float(numbers.reshape(-1)[0]), plain(shape))
    finite = numbers[np.isfinite(numbers) & (np.abs(numbers) < 1e30)]
    if finite.size == 0:
        return None
    made = independent(float(finite.mean()), float(np.mean(finite * finite)), plain(shape), free=True)
    whole = np.issubdtype(constant.dtype, np.integer)
    return replace(made, distinct=bool(whole and len(set(numbers.ravel().tolist())) == numbers.size))
