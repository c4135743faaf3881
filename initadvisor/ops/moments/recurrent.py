"""Recurrent layers by mean-field recursion over the steps.

Statistics are averages over the steps, of which at most `MAX_STEPS` are followed; what two steps have in common is
`unrolled`'s.
"""

from __future__ import annotations

import numpy as np

from initadvisor.ops.moments.axes import FEATURES, Axes, axis
from initadvisor.ops.moments.recurrent_step import Matrices, Pair, between_samples, matrices_of
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal
from initadvisor.ops.moments.unrolled import (
    GATES,
    MAX_STEPS,
    Kernel,
    Unrolled,
    back,
    flat_kernel,
    off_diagonal,
    unroll,
)


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
