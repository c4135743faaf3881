"""Recurrent layers and cells by mean-field recursion over the steps.

Gates of one unit are taken as independent given the second moments of input and state, which is exact for wide
layers with independent weights (Gilboa et al. 2019, arXiv 1901.08987). Statistics are averages over the steps, of
which at most `MAX_STEPS` are followed; what two steps have in common is `unrolled`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from initadvisor.ops.correlation import Dual, dual
from initadvisor.ops.gains import ScalarFunction
from initadvisor.ops.moments.axes import FEATURES, Axes, axis, size_of
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal
from initadvisor.ops.moments.unrolled import (
    GATES,
    MAX_STEPS,
    RELU,
    SIGMOID,
    TANH,
    Kernel,
    Scales,
    Unrolled,
    back,
    flat_kernel,
    off_diagonal,
    unroll,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A second moment and the mean product of two positions and of two samples."""

    q: float = 0.0
    positions: float = 0.0
    samples: float = 0.0

    def times(self, other: Pair, scale: float = 1.0) -> Pair:
        """The product of independent factors."""
        return Pair(
            self.q * other.q * scale, self.positions * other.positions * scale, self.samples * other.samples * scale
        )

    def plus(self, other: Pair) -> Pair:
        """The sum of independent terms of mean zero."""
        return Pair(self.q + other.q, self.positions + other.positions, self.samples + other.samples)

    def scaled(self, factor: float) -> Pair:
        """All three times a number."""
        return Pair(self.q * factor, self.positions * factor, self.samples * factor)


@dataclass(frozen=True, slots=True)
class Matrices:
    """Weights of one layer and direction; `shift` is what both biases add."""

    ih: Signal
    hh: Signal
    shift: Signal | None
    inputs: int
    hidden: int
    slots: tuple[int, ...] = ()

    def gates(self, x: Pair, h: Pair) -> tuple[Pair, float]:
        """Second moments of the gate pre-activations, and their mean."""
        made = x.scaled(self.inputs * self.ih.q).plus(h.scaled(self.hidden * self.hh.q))
        if self.shift is None:
            return made, 0.0
        q = self.shift.q
        return made.plus(Pair(q, q, q)), self.shift.mean

    def scales(self) -> Scales:
        """Fans times second moments, and the moments of the shift."""
        shift = (0.0, 0.0) if self.shift is None else (self.shift.q, self.shift.mean)
        return Scales(self.inputs * self.ih.q, self.hidden * self.hh.q, *shift)


@dataclass(slots=True)
class Step:
    """What one step leaves for the next one and for the way back: E[f'^2]-like factors of each path.

    drift: mean product of the cell (the state) with what the next step adds to it. to_gates_hidden: the share of the
    gate gradients that the recurrent weights see (a GRU's reset gate stands before them).
    """

    state: Pair
    cell: Pair
    to_gates_from_h: float
    to_gates_from_c: float
    to_gates_hidden: float
    c_from_h: float
    c_from_c: float
    h_from_h: float
    drift: Pair = field(default_factory=Pair)


def _spread(function: ScalarFunction, a: Pair, mean: float) -> tuple[Dual, Pair]:
    d = dual(function, round(mean, 9), max(float(f"{a.q - mean * mean:.6e}"), 0.0))
    square = mean * mean
    return d, Pair(d.second, d.pair(a.positions - square), d.pair(a.samples - square))


def lstm_step(m: Matrices, x: Pair, h: Pair, c: Pair, drift: Pair) -> Step:
    """c' = f c + i g, h' = o tanh(c')."""
    a, mean = m.gates(x, h)
    gate, opened = _spread(SIGMOID, a, mean)
    candidate, new = _spread(TANH, a, mean)
    # what is common to all candidates of a unit adds up over the steps
    common = Pair(new.positions, new.positions, new.samples)
    drift = drift.scaled(gate.mean).plus(common.scaled(gate.mean))
    cell = opened.times(c).plus(opened.times(new)).plus(drift.scaled(2.0 * gate.mean * gate.mean))
    outer, squashed = _spread(TANH, cell, 0.0)
    from_h = squashed.q * gate.slope
    return Step(
        opened.times(squashed),
        cell,
        to_gates_from_h=from_h,
        to_gates_from_c=gate.slope * (c.q + new.q) + opened.q * candidate.slope,
        to_gates_hidden=1.0,
        c_from_h=opened.q * outer.slope,
        c_from_c=opened.q,
        h_from_h=0.0,
        drift=drift,
    )


def gru_step(m: Matrices, x: Pair, h: Pair, drift: Pair) -> Step:
    """h' = (1 - z) n + z h, n = tanh(W x + r U h)."""
    a, mean = m.gates(x, h)
    gate, opened = _spread(SIGMOID, a, mean)
    reset = m.gates(x, opened.times(h))[0]
    candidate, new = _spread(TANH, reset, mean)
    rest = 1.0 - 2.0 * gate.mean
    closed = Pair(rest + opened.q, rest + opened.positions, rest + opened.samples)
    common = Pair(new.positions, new.positions, new.samples)
    shut = 1.0 - gate.mean
    drift = drift.scaled(gate.mean).plus(common.scaled(shut))
    both = gate.mean - opened.q
    state = closed.times(new).plus(opened.times(h)).plus(drift.scaled(2.0 * both))
    into_candidate = closed.q * candidate.slope
    into_gates = gate.slope * (new.q + h.q)
    back = into_candidate + into_gates
    share = (into_candidate * opened.q + into_gates) / back if back > 0 else 1.0
    return Step(state, Pair(), back, 0.0, share, 0.0, 0.0, opened.q, drift)


def _plain_step(function: ScalarFunction, m: Matrices, x: Pair, h: Pair) -> Step:
    a, mean = m.gates(x, h)
    d, state = _spread(function, a, mean)
    return Step(state, Pair(), d.slope, 0.0, 1.0, 0.0, 0.0, 0.0)


def step(kind: str, m: Matrices, x: Pair, h: Pair, c: Pair, drift: Pair | None = None) -> Step:
    """One step of a cell of the given kind."""
    if kind == "lstm":
        return lstm_step(m, x, h, c, drift or Pair())
    if kind == "gru":
        return gru_step(m, x, h, drift or Pair())
    return _plain_step(RELU if kind == "rnn_relu" else TANH, m, x, h)


def between_samples(kind: str, m: Matrices, x: Pair, steps: int) -> Pair:
    """The mean product of the states of two samples, averaged over the steps until it has settled."""
    total, h, c, drift = Pair(), Pair(), Pair(), Pair()
    count = max(min(steps, MAX_STEPS), 1)
    for place in range(count):
        made = step(kind, m, x, h, c, drift)
        settled = abs(made.state.q - h.q) <= 1e-6 * made.state.q and abs(made.cell.q - c.q) <= 1e-6 * made.cell.q
        h, c, drift = made.state, made.cell, made.drift
        if settled and place > 1:
            return total.plus(h.scaled(max(steps - place, 1))).scaled(1.0 / steps)
        total = total.plus(h)
    return total.scaled(1.0 / count)


def _matrices(call: Call, kind: str) -> list[tuple[Matrices, Matrices | None]]:
    """Weights of each layer, forward and backward direction, from torch's flat list."""
    first = 3 if kind == "lstm" else 2
    flat = list(range(first, len(call.inputs)))
    per = 4 if call.attr("has_biases", True) else 2
    both = bool(call.attr("bidirectional", False))
    groups = [flat[i : i + per] for i in range(0, len(flat) - per + 1, per)]
    made = [m for m in (matrices_of(call, slots) for slots in groups) if m is not None]
    if len(made) != len(groups) or not made:
        return []
    if not both:
        return [(m, None) for m in made]
    return list(zip(made[::2], made[1::2], strict=False))


def matrices_of(call: Call, slots: Sequence[int]) -> Matrices | None:
    ih, hh = call.known(slots[0]), call.known(slots[1])
    if ih is None or hh is None or len(ih.axes) < 2:
        return None
    shift: Signal | None = None
    for slot in slots[2:4]:
        bias = call.known(slot)
        if bias is not None:
            mean = bias.mean + (shift.mean if shift else 0.0)
            spread = bias.variance + (shift.variance if shift else 0.0)
            shift = Signal(mean, mean * mean + spread, mean * mean, mean * mean, mean * mean, bias.axes)
    return Matrices(ih, hh, shift, size_of(ih.axes[-1]), size_of(hh.axes[-1]), tuple(slots))


_KINDS = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn_tanh", "rnn_relu": "rnn_relu"}
_ONNX = {"onnx_lstm": "lstm", "onnx_gru": "gru", "onnx_rnn": "rnn"}


@forward(*_KINDS, *_ONNX)
def sequence(call: Call) -> list[Signal | None]:
    """All layers of a recurrent stack over a sequence."""
    rest: list[Signal | None] = [None] * (len(call.output_shapes) - 1)
    x, shape = call.known(0), call.output_shapes[0]
    kind = _KINDS.get(call.op) or _ONNX[call.op]
    if call.op in _ONNX:
        m = matrices_of(call, (1, 2, 3))
        layers: list[tuple[Matrices, Matrices | None]] = [] if m is None else [(m, None)]
    else:
        layers = _matrices(call, kind)
    if x is None or shape is None or not layers:
        return [None, *rest]
    steps = max(x.counts().positions, 1)
    followed = min(steps, MAX_STEPS)
    flow, entering = Pair(x.q, x.positions, x.samples), flat_kernel(x.q, x.positions, followed)
    memory: list[tuple[Matrices, Matrices | None, Unrolled, Kernel]] = []
    for one, other in layers:
        made = unroll(kind, one.scales(), entering)
        memory.append((one, other, made, entering))
        samples = between_samples(kind, one, flow, steps).samples
        entering = made.state
        flow = Pair(float(np.trace(entering)) / followed, off_diagonal(entering), samples)
    call.memory.update(layers=memory, steps=steps, kind=kind)
    out = Signal(0.0, flow.q, 0.0, flow.positions, flow.samples, _sequence_axes(call, x, shape))
    last = memory[-1][2]
    finals = [float(kernel[-1, -1]) for kernel in (last.state, last.cell)]
    return [
        out,
        *[
            _shaped(Signal(0.0, q, 0.0, q, 0.0, ()), call.output_shapes[place + 1], call.batch)
            for place, q in enumerate(finals[: len(rest)])
        ],
    ]


def _sequence_axes(call: Call, x: Signal, shape: tuple[int, ...]) -> Axes:
    if call.op in _ONNX and len(shape) == 4:
        return (x.axes[0], axis(FEATURES, shape[1]), x.axes[1], axis(FEATURES, shape[3]))
    return (*x.axes[:-1], axis(FEATURES, shape[-1]))


def _shaped(s: Signal, shape: tuple[int, ...] | None, batch: int) -> Signal | None:
    if shape is None:
        return None
    axes = tuple(axis("B" if n == batch and place == len(shape) - 2 else FEATURES, n) for place, n in enumerate(shape))
    return s.fresh(axes=axes)


@backward(*_KINDS, *_ONNX)
def sequence_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    made: list[Gradient | None] = [None] * len(call.inputs)
    x, layers = call.known(0), call.memory.get("layers")
    given = [g for g in gradients if g is not None]
    if x is None or not layers or not given:
        return made
    kind, top = call.memory["kind"], layers[-1][2]
    followed = len(top.state)
    first = gradients[0]
    kernel = flat_kernel(first.q, first.positions, followed) if first is not None else np.zeros((followed, followed))
    # a gradient of the last state comes in at the last step alone
    kernel[-1, -1] += sum(other.q for other in gradients[1:2] if other is not None)
    n = x.counts()
    uses = n.samples * call.memory["steps"] / followed
    for one, other, run, entering in reversed(layers):
        seen, hidden = back(run, kernel)
        for m in (one, other):
            if m is not None:
                _weights_back(call, made, m, (seen, hidden), (entering, run.parts.past), uses / GATES[kind])
        directions = 1 if other is None else 2
        kernel = directions * one.hidden * one.ih.q * seen
    made[0] = Gradient(float(np.trace(kernel)) / followed, off_diagonal(kernel))
    return made


def _weights_back(
    call: Call,
    made: list[Gradient | None],
    m: Matrices,
    gradients: tuple[Kernel, Kernel],
    states: tuple[Kernel, Kernel],
    uses: float,
) -> None:
    """A weight collects gradient times state over all steps; `uses` counts samples, shared among the gates."""
    for slot, g, state in zip(m.slots[:2], gradients, states, strict=True):
        made[slot] = Gradient(max(uses * float(np.sum(g * state)), 0.0))
    for slot, g in zip(m.slots[2:], gradients, strict=False):
        if call.known(slot) is not None:
            made[slot] = Gradient(max(uses * float(np.sum(g)), 0.0))
