"""Products of two signals: which operand is the gate and which is the signal that it opens."""

from __future__ import annotations

from dataclasses import dataclass

from initadvisor.analysis.structure.draft import Draft
from initadvisor.analysis.structure.origins import Origin, Origins
from initadvisor.graph import Node

_SQUASHING = frozenset({"sigmoid", "hardsigmoid", "softmax", "tanh", "hardtanh"})


@dataclass(frozen=True, slots=True)
class Gate:
    """A product node: `gate` multiplies `main`. `broadcast` where the gate is smaller (one number a channel)."""

    node: Node
    gate: int
    main: int
    broadcast: bool
    gate_origin: Origin
    main_origin: Origin


def read_gates(draft: Draft, origins: Origins) -> dict[int, Gate]:
    """Every product of two signals that come through layers, by node; self-gating (x * sigmoid(x)) is no gate."""
    found: dict[int, Gate] = {}
    wiring = draft.wiring
    for node in wiring.nodes:
        if node.op not in ("mul", "reversed_mul") or node.id in draft.norm_at:
            continue
        signals = wiring.signals(node)
        if len(signals) != 2 or signals[0] == signals[1]:
            continue
        first, second = (origins.of(v) for v in signals)
        sizes = [wiring.values[v].size for v in signals]
        broadcast = None not in sizes and sizes[0] != sizes[1]
        if broadcast:
            place = 0 if sizes[0] < sizes[1] else 1  # type: ignore[operator]
        else:
            squashed = [_squashed(draft, v) for v in signals]
            if squashed[0] != squashed[1]:
                place = 0 if squashed[0] else 1
            elif first.nonlinear != second.nonlinear:
                place = 0 if first.nonlinear else 1
            else:
                place = 0
        gate, main = signals[place], signals[1 - place]
        found[node.id] = Gate(node, gate, main, broadcast, *((first, second) if place == 0 else (second, first)))
    return found


def _squashed(draft: Draft, value: int) -> bool:
    producer = draft.wiring.producer(value)
    return producer is not None and producer.op in _SQUASHING
