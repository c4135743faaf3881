"""Matrix products of two signals.

Along the axis that a product sums over, what matters is the mean product of two elements of a row: `features` where
that axis runs over features, `positions` where it runs over tokens.
"""

from __future__ import annotations

from dataclasses import replace

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
