"""One step of a recurrent layer: states and gates from those before it.

Gates of one unit are taken as independent given the second moments of input and state, which is exact for wide
layers with independent weights (Gilboa et al. 2019, arXiv 1901.08987).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from initadvisor.ops.correlation import Dual, dual
from initadvisor.ops.gains import ScalarFunction
from initadvisor.ops.moments.axes import size_of
from initadvisor.ops.moments.registry import Call
from initadvisor.ops.moments.signal import Signal
from initadvisor.ops.moments.unrolled import MAX_STEPS, RELU, SIGMOID, TANH, Scales


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


def matrices_of(call: Call, slots: Sequence[int]) -> Matrices | None:
    """The weights and biases in these slots of a call; None where they are unknown."""
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
