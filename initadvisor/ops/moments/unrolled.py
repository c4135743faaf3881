"""A recurrent layer over time: how much two steps of state and gradient have in common.

Dynamical mean-field recursion: for every pair of steps (t, s) the mean product of gate pre-activations, gates, cell and
state, and backwards that of their gradients. Exact for wide layers with independent weights whose two uses, forward
and back, count as independent (Chen et al. 2018, arXiv 1806.05394; Gilboa et al. 2019, arXiv 1901.08987).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from initadvisor.ops.correlation import Dual, dual
from initadvisor.ops.gains import ScalarFunction, resolve

MAX_STEPS = 48
"""Steps that are followed; a longer sequence repeats what its state has settled to."""
SIGMOID, TANH, RELU = resolve("sigmoid"), resolve("tanh"), resolve("relu")
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1, "rnn": 1}

Kernel = np.ndarray
"""Mean products over pairs of steps, of shape (steps, steps)."""


@dataclass(frozen=True, slots=True)
class Scales:
    """What weights and biases of a layer multiply by: fan times second moment, and the moments of the shift."""

    inputs: float
    hidden: float
    shift: float = 0.0
    shift_mean: float = 0.0


class _Gate:
    """A function of Gaussian pre-activations, step by step: kernels of its value and slope."""

    def __init__(self, function: ScalarFunction, steps: int) -> None:
        self.function = function
        self.value, self.slope = np.zeros((steps, steps)), np.zeros((steps, steps))
        self.last: Dual | None = None

    def row(self, t: int, kernel: np.ndarray, spreads: np.ndarray, mean: float) -> None:
        """Fill the pairs (t, 0..t) from the mean products and the standard deviations of the pre-activations."""
        variance = float(spreads[t] ** 2)
        d = self.last = dual(self.function, round(mean, 9), float(f"{variance:.5e}"))
        apart = np.maximum(spreads[: t + 1] * spreads[t], 1e-300)
        shared = np.clip((kernel[: t + 1] - mean * mean) / apart, -1.0, 1.0)
        shared[t] = 1.0
        self.value[t, : t + 1] = self.value[: t + 1, t] = d.value_map(shared)
        self.slope[t, : t + 1] = self.slope[: t + 1, t] = d.slope_map(shared)

    @property
    def mean(self) -> float:
        """The mean at the last step."""
        return 0.0 if self.last is None else self.last.mean


def _back(kernel: Kernel, t: int) -> np.ndarray:
    """Pairs of the steps before (t, 0..t); nothing came before the first."""
    made = np.zeros(t + 1)
    if t > 0:
        made[1:] = kernel[t - 1, :t]
    return made


@dataclass(slots=True)
class Parts:
    """What the way back needs: gates, the state and cell before each step, and what both share with candidates."""

    gate: _Gate
    candidate: _Gate
    squashed: _Gate
    past: Kernel
    held: Kernel
    beside: Kernel


@dataclass(slots=True)
class Unrolled:
    """The forward pass of a layer: the kernels of its states and of its cell."""

    kind: str
    state: Kernel
    cell: Kernel
    scales: Scales
    parts: Parts


class _Carried:
    """Mean product of a carried state at one step and the candidate of another."""

    def __init__(self, steps: int) -> None:
        self.table = np.zeros((steps + 1, steps))  # row t + 1: the state behind step t

    def beside(self, t: int, candidate: Kernel, keep: float, add: float) -> np.ndarray:
        """For s in 0..t: state before t with the candidate of s, plus state before s with the candidate of t."""
        for k in range(t):
            self.table[k + 1, t] = keep * self.table[k, t] + add * candidate[k, t]
        made = self.table[t, : t + 1] + self.table[: t + 1, t]
        self.table[t + 1, : t + 1] = keep * self.table[t, : t + 1] + add * candidate[t, : t + 1]
        return np.asarray(made)


def unroll(kind: str, scales: Scales, inputs: Kernel) -> Unrolled:
    """Run a layer from a zero state over the steps of an input kernel."""
    steps = len(inputs)
    state, cell, past, held, beside = (np.zeros((steps, steps)) for _ in range(5))
    gate, squashed = _Gate(SIGMOID, steps), _Gate(TANH, steps)
    candidate = _Gate(RELU if kind == "rnn_relu" else TANH, steps)
    carried = _Carried(steps)
    spreads, inner, cells = np.zeros(steps), np.zeros(steps), np.zeros(steps)
    square = scales.shift_mean**2
    for t in range(steps):
        row = slice(0, t + 1)
        _put(past, t, _back(state, t))
        entering = scales.inputs * inputs[t, row]
        kernel = entering + scales.hidden * past[t, row] + scales.shift
        spreads[t] = math.sqrt(max(kernel[t] - square, 0.0))
        if kind not in ("lstm", "gru"):
            candidate.row(t, kernel, spreads, scales.shift_mean)
            _put(state, t, candidate.value[t, row])
            continue
        gate.row(t, kernel, spreads, scales.shift_mean)
        opened = gate.value[t, row]
        if kind == "gru":  # the reset gate stands before the recurrent weights of the candidate
            kernel = entering + opened * scales.hidden * past[t, row] + scales.shift * 0.5 * (1.0 + opened)
        inner[t] = math.sqrt(max(kernel[t] - square, 0.0))
        candidate.row(t, kernel, inner, scales.shift_mean)
        new, mean = candidate.value[t, row], gate.mean
        _put(beside, t, carried.beside(t, candidate.value, mean, mean if kind == "lstm" else 1.0 - mean))
        if kind == "gru":
            shut = 1.0 - 2.0 * mean + opened
            _put(state, t, shut * new + opened * past[t, row] + (mean - opened) * beside[t, row])
            continue
        _put(held, t, _back(cell, t))
        _put(cell, t, opened * (held[t, row] + new) + mean * mean * beside[t, row])
        cells[t] = math.sqrt(max(cell[t, t], 0.0))
        squashed.row(t, cell[t], cells, 0.0)
        _put(state, t, opened * squashed.value[t, row])
    parts = Parts(gate, candidate, squashed, past, held, beside)
    return Unrolled(kind, state, cell, scales, parts)


def _put(kernel: Kernel, t: int, row: np.ndarray) -> None:
    kernel[t, : t + 1] = kernel[: t + 1, t] = row


def back(run: Unrolled, gradient: Kernel) -> tuple[Kernel, Kernel]:
    """Kernels of the gradients at the pre-activations, summed over the gates, from that of the states' gradients.

    Returns those that input weights see and those that recurrent weights see.
    """
    steps, p = len(run.state), run.parts
    gate, slope, new, new_slope = p.gate.value, p.gate.slope, p.candidate.value, p.candidate.slope
    if run.kind == "lstm":
        from_cell = gate * new_slope + (new + p.held) * slope
        from_state, to_cell = p.squashed.value * slope, gate * p.squashed.slope
        to_hidden = from_cell
    elif run.kind == "gru":
        shut = 1.0 - 2.0 * p.gate.mean + gate
        into_update = np.maximum(p.past + new - p.beside, 0.0) * slope
        into_candidate = shut * new_slope
        into_reset = into_candidate * run.scales.hidden * p.past * slope
        from_cell = into_update + into_candidate + into_reset
        to_hidden = into_update + into_candidate * gate + into_reset
        from_state, to_cell = np.zeros_like(gate), np.ones_like(gate)
    else:
        from_cell, to_hidden, to_cell, from_state = new_slope, new_slope, np.ones_like(new), np.zeros_like(new)
    keeps = run.kind in ("lstm", "gru")
    keep = p.gate.mean if keeps else 0.0
    flow, seen, seen_hidden, ahead = (np.zeros((steps + 1, steps + 1)) for _ in range(4))
    for t in range(steps - 1, -1, -1):
        row = slice(t, steps)
        later = slice(t + 1, steps + 1)
        at_state = gradient[t, row] + run.scales.hidden * seen_hidden[t + 1, later]
        fresh = at_state * to_cell[t, row]
        carried = np.zeros_like(fresh)
        if keeps:
            # `ahead`: what enters at one step with all that reaches the cell at a later one
            for s in range(steps - 1, t - 1, -1):
                ahead[t, s] = fresh[s - t] + keep * ahead[t, s + 1]
                if s > t:
                    ahead[s, t] = fresh[s - t] + keep * ahead[s, t + 1]
            # the gates of the following step, nothing behind the last one
            following = np.zeros_like(fresh)
            following[:-1] = gate[t + 1, t + 1 :] if t + 1 < steps else following[:-1]
            carried = keep * (ahead[t, later] + ahead[row, t + 1]) + following * flow[t + 1, later]
        total = fresh + carried
        flow[t, row] = flow[row, t] = total
        extra = at_state * from_state[t, row]
        seen[t, row] = seen[row, t] = total * from_cell[t, row] + extra
        seen_hidden[t, row] = seen_hidden[row, t] = total * to_hidden[t, row] + extra
    return seen[:steps, :steps], seen_hidden[:steps, :steps]


def flat_kernel(q: float, pair: float, steps: int) -> Kernel:
    """A kernel with one value on the diagonal and another beside it."""
    return np.full((steps, steps), pair) + np.eye(steps) * (q - pair)


def off_diagonal(kernel: Kernel) -> float:
    """The mean product of two different steps."""
    n = len(kernel)
    return float(kernel.sum() - np.trace(kernel)) / (n * (n - 1)) if n > 1 else float(kernel[0, 0])
