"""Matrix products of two signals, softmax, and attention made of them.

Along the axis that a product sums over, what matters is the mean product of two elements of a row: `features` where
that axis runs over features, `positions` where it runs over tokens. Softmax rows sum to one, so attention keeps what
the values of all tokens have in common and averages out the rest (rank collapse: Dong et al. 2021, arXiv 2103.03404;
Noci et al. 2022, arXiv 2206.03126).
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from initadvisor.ops.moments.axes import FEATURES, POSITIONS, Axes, Axis, axis, count, dominant, size_of
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal
from initadvisor.ops.moments.weighted import Fan, collected, project

_SUMMED = {FEATURES: "features", POSITIONS: "positions", "B": "samples"}


def pair_along(s: Signal, one: Axis) -> float:
    """E[x x'] for two elements that differ along an axis."""
    return float(getattr(s, _SUMMED[dominant(one)]))


def contract(a: Signal, b: Signal, n: int, pair_a: float, pair_b: float) -> float:
    """E[(sum of n products)^2] for independent factors."""
    return n * a.q * b.q + n * (n - 1) * pair_a * pair_b


def matrix_product(a: Signal, b: Signal, summed_a: Axis, summed_b: Axis, columns: Axis, rows: Axis) -> Signal:
    """(..., rows, n) @ (..., n, columns): the columns become the features of the result."""
    n = max(size_of(summed_a), size_of(summed_b), 1)
    along_a, along_b = pair_along(a, summed_a), pair_along(b, summed_b)
    other_column = pair_along(b, columns)
    column_cross = b.cross(along_b, other_column)
    other_row = pair_along(a, rows)
    row_cross = a.cross(along_a, other_row)
    q = contract(a, b, n, along_a, along_b)
    features = n * a.q * other_column + n * (n - 1) * along_a * column_cross
    lead = a.axes if len(a.axes) >= len(b.axes) else b.axes
    within = same_matrix(lead[:-2], rows)
    positions = within * (n * other_row * b.q + n * (n - 1) * row_cross * along_b)
    if within < 1.0:
        # two positions of different matrices: of different windows
        far_a, far_b = a.cross(along_a, a.positions), b.cross(along_b, b.positions)
        positions += (1.0 - within) * (n * a.positions * b.positions + n * (n - 1) * far_a * far_b)
    samples = n * a.samples * b.samples + n * (n - 1) * a.cross(along_a, a.samples) * b.cross(along_b, b.samples)
    kept = (rows,) if len(a.axes) > 1 else ()
    last = (axis(FEATURES, size_of(columns)),) if len(b.axes) > 1 else ()
    return Signal(n * a.mean * b.mean, q, features, positions, samples, (*lead[:-2], *kept, *last))


def same_matrix(lead: Axes, rows: Axis) -> float:
    """Of two positions of a sample, how often both are rows of one matrix (tokens of one attention window)."""
    windows = count(lead).positions
    if windows <= 1:
        return 1.0
    inside = count([rows]).positions
    return (inside - 1) / (inside * windows - 1)


@forward("matmul", "reversed_matmul")
def matmul(call: Call) -> list[Signal | None]:
    a, b = (call.known(1), call.known(0)) if call.op == "reversed_matmul" else (call.known(0), call.known(1))
    if a is None or b is None or not a.axes or not b.axes:
        return [None]
    call.memory["pair"] = (a, b)
    if b.free and not a.free and len(b.axes) == 2:
        fan = Fan(float(size_of(b.axes[0])))
        call.memory["fan"] = fan
        return [project(a, b, None, fan, (*a.axes[:-1], axis(FEATURES, size_of(b.axes[1]))))]
    if a.free and not b.free and len(a.axes) == 2:
        return [_left_weight(call, a, b)]
    summed_b = b.axes[-2] if len(b.axes) > 1 else b.axes[-1]
    rows = a.axes[-2] if len(a.axes) > 1 else ()
    columns = b.axes[-1] if len(b.axes) > 1 else ()
    return [matrix_product(a, b, a.axes[-1], summed_b, columns, rows)]


def _left_weight(call: Call, weight: Signal, x: Signal) -> Signal:
    """W @ x: the axis before the last is mixed, as in a token-mixing layer."""
    summed = x.axes[-2] if len(x.axes) > 1 else x.axes[-1]
    along = pair_along(x, summed)
    n = size_of(summed)
    role = dominant(summed)
    turned = x if role == FEATURES else replace(x, features=along, positions=x.features)
    made = project(turned, weight, None, Fan(float(n)), x.axes)
    out = axis(role, size_of(weight.axes[0]))
    axes = (*x.axes[:-2], out, x.axes[-1]) if len(x.axes) > 1 else (out,)
    if role != FEATURES:
        made = replace(made, features=made.positions, positions=made.features)
    return replace(made, axes=axes)


@backward("matmul", "reversed_matmul")
def matmul_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g, pair = gradients[0], call.memory.get("pair")
    out = call.outputs[0] if call.outputs else None
    if g is None or pair is None or out is None:
        return [None, None]
    a, b = pair
    made: list[Gradient | None]
    if b.free and "fan" in call.memory:
        fan, columns = call.memory["fan"], size_of(b.axes[1])
        square = columns * b.q
        uses = out.counts().total * fan.size / (fan.size * columns)
        made = [
            Gradient(g.q * square, g.positions * square, g.samples * square),
            Gradient(collected(g, a, uses, call.batch, fan)),
        ]
    elif a.free and len(a.axes) == 2:
        rows = size_of(a.axes[0])
        made = [Gradient(out.counts().total / rows * g.q * b.q), g.scaled(rows * a.q)]
    else:
        made = pair_back(g, a, b)
    return made[::-1] if call.op == "reversed_matmul" else made


def pair_back(g: Gradient, a: Signal, b: Signal) -> list[Gradient | None]:
    """Gradients of both factors of a product of signals."""
    columns = size_of(b.axes[-1]) if len(b.axes) > 1 else 1
    rows_axis = a.axes[-2] if len(a.axes) > 1 else ()
    summed_b = b.axes[-2 if len(b.axes) > 1 else -1]
    rows = max(size_of(rows_axis), 1)
    across = pair_along(b, b.axes[-1]) if len(b.axes) > 1 else 0.0
    along = pair_along(b, summed_b)
    down = pair_along(a, rows_axis)
    within = same_matrix(a.axes[:-2], rows_axis)
    within_b = same_matrix(b.axes[:-2], summed_b)
    left = columns * g.q * b.q + columns * (columns - 1) * g.features * across
    left_positions = columns * g.positions * (within * b.q + (1.0 - within) * b.positions)
    left_features = columns * g.q * along + columns * (columns - 1) * g.features * b.cross(across, along)
    right = rows * g.q * a.q + rows * (rows - 1) * g.positions * down
    other = pair_along(a, a.axes[-1])
    right_near = rows * g.q * other + rows * (rows - 1) * g.positions * a.cross(other, down)
    right_far = rows * rows * g.positions * a.cross(other, a.positions)
    is_position = dominant(summed_b) == POSITIONS
    right_positions = within_b * right_near + (1.0 - within_b) * right_far if is_position else 0.0
    right_features = 0.0 if is_position else right_near
    return [
        Gradient(left, left_positions, columns * g.samples * b.samples, left_features),
        Gradient(right, right_positions, rows * rows * g.samples * a.cross(other, a.samples), right_features),
    ]


_TIMES = np.exp(np.linspace(-30.0, 12.0, 241))
_STEP = math.log(_TIMES[1] / _TIMES[0])
_LOGITS, _LOGIT_WEIGHTS = np.polynomial.hermite_e.hermegauss(96)
_LOGIT_WEIGHTS = _LOGIT_WEIGHTS / _LOGIT_WEIGHTS.sum()


def concentration(variance: float, n: int) -> float:
    """n E[sum a^2] for softmax weights a over n independent Gaussian logits: 1 for equal weights, n for one alone."""
    return _concentration(float(f"{variance:.3g}"), n) if variance > 0.0 and n > 1 else 1.0


@lru_cache(maxsize=4096)
def _concentration(variance: float, n: int) -> float:
    return float(min(max(n * _participation(variance, np.array([float(n)]))[0], 1.0), n))


def causal_concentration(variance: float, n: int) -> float:
    """n times the mean of E[sum a^2] over rows that see 1, 2 ... n tokens."""
    return _causal_concentration(float(f"{max(variance, 0.0):.3g}"), n) if n > 1 else 1.0


@lru_cache(maxsize=4096)
def _causal_concentration(variance: float, n: int) -> float:
    rows = np.unique(np.round(np.geomspace(1.0, n, 24)))
    values = _participation(variance, rows) if variance > 0.0 else 1.0 / rows
    every = np.arange(1.0, n + 1.0)
    return float(n * np.exp(np.interp(np.log(every), np.log(rows), np.log(values))).mean())


_STEEPEST = 6.0
"""Standard deviation of the logits up to which the quadrature holds for 32 logits and more; 1 + log2(n) for fewer."""


def _participation(variance: float, n: np.ndarray) -> np.ndarray:
    """E[sum of squared softmax weights] over n logits.

    Steep logits leave the two largest alone; what the second one takes falls as one over their standard deviation.
    """
    whole = math.sqrt(variance)
    holds = np.minimum(np.floor(1.0 + np.log2(np.maximum(n, 2.0))), _STEEPEST)
    found = np.empty_like(n)
    for limit in np.unique(holds):
        std = min(whole, float(limit))
        found[holds == limit] = 1.0 - (1.0 - _quadrature(std, n[holds == limit])) * (std / whole)
    return found


def _quadrature(std: float, n: np.ndarray) -> np.ndarray:
    """The same, exactly.

    1 / S^2 = int t exp(-t S) dt turns it into n int t E[x^2 exp(-t x)] E[exp(-t x)]^(n - 1) dt with x = exp(logit).
    """
    shift = _TIMES * math.exp(-std * 3.0)
    x = np.exp(std * _LOGITS)
    decay = np.exp(-np.outer(shift, x))
    first = decay @ (_LOGIT_WEIGHTS * x * x)
    rest = np.log(np.maximum(decay @ _LOGIT_WEIGHTS, 1e-300))
    integrand = (shift * shift * first)[:, None] * np.exp(rest[:, None] * (n - 1.0)[None, :])
    return np.asarray(np.clip(n * integrand.sum(axis=0) * _STEP, 1.0 / n, 1.0))


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


@forward("tril", "triu", "trilu", "masked_fill", "where", "masked_scatter")
def masked(call: Call) -> list[Signal | None]:
    """A mask in front of a softmax leaves the logits that are seen as they are."""
    slot = 1 if call.op == "where" else 0
    s = call.known(slot)
    if call.op == "where" and (s is None or s.constant is not None):
        other = call.known(2)
        s = other if other is not None else s
    if s is None:
        return [None]
    if s.table or s.constant is not None:
        return [replace(s, visible=0.5 if call.op in ("tril", "triu", "trilu") else s.visible, table=True)]
    mask = call.known(0 if call.op == "where" else 1)
    visible = 0.5 if mask is None or not mask.table or call.op in ("tril", "triu", "trilu") else mask.visible
    return [s.fresh(visible=min(visible, s.visible))]


@backward("masked_fill", "where", "tril", "triu", "trilu")
def masked_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g = gradients[0]
    made: list[Gradient | None] = [None] * len(call.inputs)
    slot = 1 if call.op == "where" else 0
    if call.op == "where":
        first = call.known(1)
        slot = 2 if first is None or first.constant is not None else 1
    if slot < len(made):
        made[slot] = g
    return made


def head_axes(s: Signal) -> tuple[Axis, Axis]:
    """The token and the head-width axis of (..., tokens, width)."""
    return s.axes[-2] if len(s.axes) > 1 else (), s.axes[-1] if s.axes else ()


def as_positions(s: Signal) -> Signal:
    """Statistics with the token axis read as positions, whatever role it carries."""
    tokens = head_axes(s)[0]
    if dominant(tokens) == FEATURES and size_of(tokens) > 1:
        return replace(s, positions=s.features)
    return s


def width_of(s: Signal) -> int:
    """The number of elements of the last axis."""
    return max(count(s.axes[-1:]).total, 1)
