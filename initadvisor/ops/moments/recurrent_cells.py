"""One step of a recurrent cell from given states."""

from __future__ import annotations

from initadvisor.ops.moments.axes import FEATURES, axis
from initadvisor.ops.moments.recurrent_step import Pair, Step, matrices_of, step
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal
from initadvisor.ops.moments.unrolled import GATES
from initadvisor.ops.moments.weighted import Fan, collected


@forward("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell(call: Call) -> list[Signal | None]:
    """One step from given states."""
    kind = call.op.removesuffix("_cell")
    first = 3 if kind == "lstm" else 2
    x, h = call.known(0), call.known(1)
    m = matrices_of(call, tuple(range(first, min(first + 4, len(call.inputs)))))
    if x is None or m is None:
        return [None] * len(call.output_shapes)
    state = Pair() if h is None else Pair(h.q, h.positions, h.samples)
    c = call.known(2) if kind == "lstm" else None
    held = Pair() if c is None else Pair(c.q, c.positions, c.samples)
    made = step(kind, m, Pair(x.q, x.positions, x.samples), state, held)
    call.memory.update(step=made, matrices=m, kind=kind)
    axes = (*x.axes[:-1], axis(FEATURES, m.hidden))
    outputs: list[Signal | None] = [
        Signal(0.0, p.q, 0.0, p.positions, p.samples, axes) for p in (made.state, made.cell)
    ]
    return outputs[: len(call.output_shapes)]


@backward("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    made: list[Gradient | None] = [None] * len(call.inputs)
    done: Step | None = call.memory.get("step")
    x = call.known(0)
    if done is None or x is None:
        return made
    m, kind = call.memory["matrices"], call.memory["kind"]
    dh = gradients[0].q if gradients[0] is not None else 0.0
    dc = dh * done.c_from_h + (gradients[1].q if len(gradients) > 1 and gradients[1] is not None else 0.0)
    into = dh * done.to_gates_from_h + dc * done.to_gates_from_c
    made[0] = Gradient(into * m.hidden * m.ih.q)
    made[1] = Gradient(into * done.to_gates_hidden * m.hidden * m.hh.q + dh * done.h_from_h)
    if kind == "lstm":
        made[2] = Gradient(dc * done.c_from_c)
    n = x.counts()
    at_gate = Gradient(into / GATES[kind])
    at_hidden = at_gate.scaled(done.to_gates_hidden)
    places = n.positions * n.samples
    made[m.slots[0]] = Gradient(collected(at_gate, x, places, call.batch, Fan(1.0)))
    h = call.known(1)
    if h is not None:
        made[m.slots[1]] = Gradient(collected(at_hidden, h, places, call.batch, Fan(1.0)))
    for slot, at in zip(m.slots[2:], (at_gate, at_hidden), strict=False):
        if slot < len(made) and call.known(slot) is not None:
            made[slot] = Gradient(places * at.q)
    return made
