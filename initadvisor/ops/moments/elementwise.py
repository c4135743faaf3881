"""Element-wise operators on several values, and those that are functions of one."""

from __future__ import annotations

import numpy as np

from initadvisor.ops.moments import combine
from initadvisor.ops.moments.activations import (
    apply,
    elementwise_chain,
    from_numpy,
    named,
)
from initadvisor.ops.moments.atoms import atoms_of, before_sum
from initadvisor.ops.moments.axes import Counts
from initadvisor.ops.moments.broadcasting import common_axes, gather_back, repeated
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal, independent
from initadvisor.ops.registry import OPERATORS

_SUMS = ("add", "reversed_add", "sub", "reversed_sub")
_PRODUCTS = ("mul", "reversed_mul")
_QUOTIENTS = ("div", "reversed_div")
_SPECIAL = {
    *_SUMS,
    *_PRODUCTS,
    *_QUOTIENTS,
    "prelu",
    "gated_silu",
    "addcmul",
    "lerp",
    "pow",
    "reversed_pow",
    "variadic_sum",
}


def unary(call: Call) -> list[Signal | None]:
    """A function of one value; a chain of them over one base stays exact."""
    s = call.known(0)
    if s is not None and s.table:
        # angles of a rotary or sinusoidal embedding spread over whole turns
        return [independent(0.0, 0.5, s.axes, free=True) if call.op in ("sin", "cos") else s]
    return [elementwise_chain(call)]


def _by_chain() -> tuple[str, ...]:
    return tuple(
        name
        for name, entry in OPERATORS.items()
        if entry.evaluate is not None and entry.family in ("activation", "elementwise") and name not in _SPECIAL
    )


forward(*_by_chain())(unary)


def operands(call: Call) -> tuple[list[Signal], list[Counts]] | None:
    """The inputs on the axes of the result, and how often each is repeated."""
    if any(s is None for s in call.inputs) or not call.inputs:
        return None
    given = [s for s in call.inputs if s is not None]
    axes = common_axes(given)
    spread = [repeated(s, axes) for s in given]
    return [s for s, _ in spread], [n for _, n in spread]


def beside_table(call: Call) -> Signal | None:
    """The other operand, where one is a table of numbers (a mask added to logits or multiplied)."""
    tables = [s is not None and s.table for s in call.inputs]
    if not any(tables) or all(tables) or any(s is None for s in call.inputs):
        return None
    place = tables.index(False)
    other, mask = call.inputs[place], call.inputs[1 - place]
    if other is None or mask is None or other.constant is not None:
        return None
    call.memory["beside"] = place
    axes = common_axes([other, mask])
    made = repeated(other, axes)[0]
    return made.fresh(visible=min(other.visible, mask.visible), free=other.free)


def beside_table_back(call: Call, g: Gradient) -> list[Gradient | None]:
    """All of the gradient goes to the operand that is no table."""
    made: list[Gradient | None] = [None] * len(call.inputs)
    made[call.memory["beside"]] = g.whole()
    return made


def _of_one(call: Call) -> Signal | None:
    """The result where it is that of one value: beside a table of numbers, or all operands are functions of it."""
    beside = beside_table(call)
    return beside if beside is not None else elementwise_chain(call)


@forward(*_SUMS)
def total(call: Call) -> list[Signal | None]:
    known = _of_one(call)
    if known is not None:
        return [known]
    parts = operands(call)
    if parts is None:
        return [None]
    (a, b), times = parts
    call.memory["times"] = times
    alpha = float(call.attr("alpha", 1.0))
    if call.op in ("sub", "reversed_sub"):
        alpha = -alpha
    first, second = (b, a) if call.op == "reversed_sub" else (a, b)
    call.memory["signs"] = (alpha, 1.0) if call.op == "reversed_sub" else (1.0, alpha)
    made = combine.add(first, second.scaled(abs(alpha)) if abs(alpha) != 1.0 else second, 1.0 if alpha > 0 else -1.0)
    if alpha == 1.0:
        made.atoms = _sum_atoms(first, second, times)
    return [made]


def _sum_atoms(a: Signal, b: Signal, times: list[Counts]) -> tuple[np.ndarray, np.ndarray] | None:
    """The part of a sum that is not Gaussian: that of the operand with the larger spread, the other one smooths."""
    if any(n.total > 1 for n in times) or a.free or b.free or combine.covariance(a, b) != 0.0:
        return None
    shaped = [(s, other, atoms_of(s)) for s, other in ((a, b), (b, a))]
    known = [(s, other, atoms) for s, other, atoms in shaped if atoms is not None]
    if not known:
        return None
    _, other, (points, weights) = max(known, key=lambda entry: entry[0].variance)
    return points + other.mean, weights


@backward(*_SUMS)
def total_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    (g,) = gradients[:1]
    if g is not None and "beside" in call.memory:
        return beside_table_back(call, g)
    if g is None or "times" not in call.memory:
        return [None] * len(call.inputs)
    out = call.outputs[0] if call.outputs else None
    made: list[Gradient | None] = []
    for s, times, sign in zip(call.inputs, call.memory["times"], call.memory["signs"], strict=True):
        if s is None:
            made.append(None)
            continue
        handed = gather_back(g.whole().scaled(sign * sign), s, times)
        if times.total == 1 and out is not None and out.variance > 0.0:
            # the part of the sum's standardised value that this operand makes up
            share = min(_cross(s, out) ** 2 / max(s.variance * out.variance, 1e-300), 1.0)
            handed.radial_positions = g.radial_positions * sign * sign * share
            handed.radial_samples = g.radial_samples * sign * sign * share
            if g.profile is not None and len(call.inputs) == 2 and sign == 1.0:
                other = call.inputs[1] if s is call.inputs[0] else call.inputs[0]
                handed.profile = None if other is None else before_sum(g.profile, s, other)
        made.append(handed)
    return made


def _cross(s: Signal, out: Signal) -> float:
    """Covariance of an operand with the sum; by its own variance where sources do not tell."""
    return combine.covariance(s, out) or s.variance


@forward("variadic_sum")
def variadic_sum(call: Call) -> list[Signal | None]:
    parts = operands(call)
    if parts is None:
        return [None]
    made, *rest = parts[0]
    for other in rest:
        made = combine.add(made, other)
    call.memory["times"] = parts[1]
    call.memory["signs"] = [1.0] * len(call.inputs)
    return [made]


backward("variadic_sum")(total_back)


@forward(*_PRODUCTS)
def product(call: Call) -> list[Signal | None]:
    known = _of_one(call)
    if known is not None:
        return [known]
    parts = operands(call)
    if parts is None:
        return [None]
    (a, b), call.memory["times"] = parts
    call.memory["factors"] = (b, a)
    return [combine.multiply(a, b)]


@backward(*_PRODUCTS, "gated_silu")
def product_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    (g,) = gradients[:1]
    if g is not None and "beside" in call.memory:
        return beside_table_back(call, g)
    if g is None or "factors" not in call.memory:
        return [None] * len(call.inputs)
    made: list[Gradient | None] = []
    for s, times, factor in zip(call.inputs, call.memory["times"], call.memory["factors"], strict=True):
        if s is None:
            made.append(None)
            continue
        weighted = Gradient(
            g.q * factor.q,
            g.positions * factor.positions,
            g.samples * factor.samples,
            g.features * factor.features,
            places=g.places,
        )
        made.append(gather_back(weighted, s, times))
    return made


@forward(*_QUOTIENTS)
def quotient(call: Call) -> list[Signal | None]:
    """a / b: exact for functions of one value; else through E[1/b^2] of a divisor that stays away from 0."""
    chained = elementwise_chain(call)
    if chained is not None:
        return [chained]
    parts = operands(call)
    if parts is None:
        return [None]
    (first, second), times = parts
    numerator, divisor = (second, first) if call.op == "reversed_div" else (first, second)
    inverse = _inverse(divisor)
    if inverse is None:
        return [None]
    call.memory["times"] = times
    factors = (inverse, combine.multiply(numerator, inverse))
    call.memory["factors"] = factors[::-1] if call.op == "reversed_div" else factors
    return [combine.multiply(numerator, inverse)]


backward(*_QUOTIENTS)(product_back)


def _inverse(s: Signal) -> Signal | None:
    """1/s where s is far enough from zero that the moments of the inverse exist."""
    if abs(s.mean) < 4.0 * s.variance**0.5 or s.mean == 0.0:
        return None
    made = apply(s.fresh(), from_numpy("reciprocal", lambda x: 1.0 / x))
    return made.fresh()


@forward("pow", "reversed_pow")
def power(call: Call) -> list[Signal | None]:
    return [elementwise_chain(call)]


@forward("prelu")
def prelu(call: Call) -> list[Signal | None]:
    """The slope is the mean of the learned ones: they start equal."""
    s, weight = call.known(0), call.known(1)
    function = named("leaky_relu", {"negative_slope": weight.mean if weight is not None else 0.25})
    return [None if s is None or function is None else apply(s, function)]


@forward("addcmul")
def addcmul(call: Call) -> list[Signal | None]:
    parts = operands(call)
    if parts is None:
        return [None]
    s, a, b = parts[0]
    return [combine.add(s, combine.multiply(a, b).scaled(float(call.attr("value", 1.0))))]


@forward("lerp")
def lerp(call: Call) -> list[Signal | None]:
    """x + w (end - x)."""
    parts = operands(call)
    if parts is None:
        return [None]
    s, end, weight = parts[0]
    return [combine.add(s, combine.multiply(weight, combine.add(end, s, -1.0)))]
