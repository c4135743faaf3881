"""Softmax and its logarithm.

Softmax rows sum to one, so attention keeps what the values of all tokens have in common and averages out the rest
(rank collapse: Dong et al. 2021, arXiv 2103.03404; Noci et al. 2022, arXiv 2206.03126).
"""

from __future__ import annotations

import math
from dataclasses import replace

from initadvisor.ops.moments.axes import FEATURES, dominant, size_of
from initadvisor.ops.moments.concentration import causal_concentration, concentration
from initadvisor.ops.moments.products import pair_along
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal


def softmax_signal(s: Signal, n: int, *, causal: bool = False) -> Signal:
    """Softmax over rows of n logits whose mean product is `features`."""
    own = max(s.q - s.features, 0.0)
    shared_query = max(s.positions - s.cross(s.features, s.positions), 0.0)
    peak = causal_concentration(own, n) if causal else concentration(own, n)
    q = min(peak / n**2, 1.0 / n)
    mean = 1.0 / n
    features = max((mean - q) / (n - 1), 0.0) if n > 1 else q
    together = min(math.exp(min(shared_query, 50.0)), peak)
    # two causal rows share the keys of the shorter one: E[1 / longer row] sums to twice the uniform value
    positions = together * mean * mean * (2.0 if causal else 1.0)
    return Signal(mean, q, features, positions, mean * mean, s.axes)


@forward("softmax", "softmin")
def softmax(call: Call) -> list[Signal | None]:
    s = call.known(0)
    if s is None:
        return [None]
    dim = int(call.attr("dim", -1)) % max(len(s.axes), 1)
    one = s.axes[dim]
    n = max(size_of(one), 1)
    looked = s if dominant(one) == FEATURES else replace(s, features=pair_along(s, one))
    call.memory["logits"] = max(looked.q - looked.features, 0.0)
    made = softmax_signal(looked, n, causal=s.visible < 1.0)
    call.memory["n"] = n
    return [made]


@backward("softmax", "softmin")
def softmax_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g, out = gradients[0], call.outputs[0] if call.outputs else None
    if g is None or out is None:
        return [None]
    spread = max(g.q - g.features, 0.0)
    square = out.q * spread * (1.0 - min(out.q * call.memory["n"], 1.0))
    pair = out.positions * max(g.positions - 0.0, 0.0)
    return [Gradient(square, min(pair, square), 0.0, -square / max(call.memory["n"] - 1, 1))]


@forward("log_softmax")
def log_softmax(call: Call) -> list[Signal | None]:
    s = call.known(0)
    if s is None:
        return [None]
    dim = int(call.attr("dim", -1)) % max(len(s.axes), 1)
    n = max(size_of(s.axes[dim]), 1)
    own = max(s.q - pair_along(s, s.axes[dim]), 0.0)
    mean = -math.log(n) - 0.5 * own
    square = mean * mean
    return [Signal(mean, square + own, square, square, square, s.axes)]


@backward("log_softmax")
def log_softmax_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    return [gradients[0]]
