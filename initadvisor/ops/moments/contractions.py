"""Einsum, and products with a bias added: brought into the form rows x summed times summed x columns."""

from __future__ import annotations

from math import prod

from initadvisor.ops.moments import combine
from initadvisor.ops.moments.axes import FEATURES, Axis, axis, size_of
from initadvisor.ops.moments.broadcasting import repeated
from initadvisor.ops.moments.products import matmul, matmul_back, matrix_product, pair_back
from initadvisor.ops.moments.registry import Call, backward, forward
from initadvisor.ops.moments.signal import Gradient, Signal
from initadvisor.ops.moments.weighted import Fan, collected, project


def _letters(equation: str) -> tuple[list[str], str]:
    """The letters of each operand and of the result; raises ValueError where an ellipsis hides some."""
    compact = equation.replace(" ", "")
    if "..." in compact:
        raise ValueError("ellipsis")
    left, arrow, right = compact.partition("->")
    operands = left.split(",")
    if not arrow:
        every = "".join(operands)
        right = "".join(sorted(letter for letter in set(every) if every.count(letter) == 1))
    return operands, right


def _joined(axes: list[Axis]) -> Axis:
    """Several axes as one."""
    return tuple(atom for one in axes for atom in one)


@forward("einsum")
def einsum(call: Call) -> list[Signal | None]:
    """One or two operands; a parameter is a weight of fan = what is summed over."""
    if any(s is None for s in call.inputs):
        return [None]
    given = [s for s in call.inputs if s is not None]
    try:
        letters, result = _letters(str(call.attr("equation", "")))
    except ValueError:
        return [None]
    if len(letters) != len(given) or any(len(word) != len(s.axes) for word, s in zip(letters, given, strict=True)):
        return [None]
    if len(given) == 1:
        return [_of_one(call, given[0], letters[0], result)]
    if len(given) != 2:
        return [None]
    places = [dict(zip(word, s.axes, strict=True)) for word, s in zip(letters, given, strict=True)]
    return [_of_two(call, given, places, result)]


def _of_one(call: Call, s: Signal, word: str, result: str) -> Signal | None:
    """A permutation; sums over left-out letters are rare and stay unknown."""
    if set(word) != set(result) or len(set(word)) != len(word):
        return None
    return s.fresh(axes=tuple(s.axes[word.index(letter)] for letter in result))


def _of_two(call: Call, given: list[Signal], places: list[dict[str, Axis]], result: str) -> Signal:
    (a, b), (in_a, in_b) = given, places
    summed = [letter for letter in in_a if letter in in_b and letter not in result]
    lost = [letter for letter in [*in_a, *in_b] if letter not in result and letter not in summed]
    swapped = a.free and not b.free
    call.memory["swapped"] = swapped
    if swapped:
        a, b, in_a, in_b = b, a, in_b, in_a
    sizes = [size_of(max(in_a.get(letter, ()), in_b.get(letter, ()), key=size_of)) for letter in summed + lost]
    n = prod(sizes)
    columns = [letter for letter in result if letter in in_b and letter not in in_a]
    rows = [letter for letter in result if letter in in_a and letter not in in_b]
    if b.free and not a.free:
        fan = Fan(float(n))
        call.memory["linear"] = (a, b, fan, prod(size_of(in_b[letter]) for letter in columns))
        made = project(a, b, None, fan, a.axes)
        turned = {letter: axis(FEATURES, size_of(in_b[letter])) for letter in columns}
    else:
        one_row = _joined([in_a[letter] for letter in rows])
        one_column = _joined([in_b[letter] for letter in columns])
        summed_a = _joined([in_a[letter] for letter in summed])
        summed_b = _joined([in_b[letter] for letter in summed])
        lead = tuple(in_a[letter] for letter in result if letter in in_a and letter in in_b)
        first = a.fresh(axes=(*lead, one_row, summed_a), sources=a.sources)
        second = b.fresh(axes=(*lead, summed_b, one_column), sources=b.sources)
        call.memory["pair"] = (first, second)
        made = matrix_product(first, second, summed_a, summed_b, one_column, one_row)
        turned = {letter: axis(FEATURES, size_of(in_b[letter])) for letter in columns}
    axes = tuple(turned.get(letter) or in_a.get(letter) or in_b.get(letter, ()) for letter in result)
    return made.fresh(axes=axes, free=a.free and b.free)


@backward("einsum")
def einsum_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    g, out = gradients[0], call.outputs[0] if call.outputs else None
    if g is None or out is None:
        return [None] * len(call.inputs)
    if len(call.inputs) == 1:
        return [g.whole()]
    if "linear" in call.memory:
        a, b, fan, columns = call.memory["linear"]
        square = columns * b.q
        uses = out.counts().total * fan.size / max(prod(size_of(one) for one in b.axes), 1)
        made: list[Gradient | None] = [
            Gradient(g.q * square, g.positions * square, g.samples * square),
            Gradient(collected(g, a, uses, call.batch, fan)),
        ]
    elif "pair" in call.memory:
        made = pair_back(g, *call.memory["pair"])
    else:
        return [None] * len(call.inputs)
    return made[::-1] if call.memory.get("swapped") else made


@forward("addmm")
def addmm(call: Call) -> list[Signal | None]:
    """bias + left @ right."""
    inner = Call("matmul", {}, call.inputs[1:], call.present[1:], call.input_shapes[1:], call.output_shapes, call.batch)
    made = matmul(inner)[0]
    bias = call.known(0)
    call.memory["inner"] = inner
    if made is None or bias is None:
        return [made]
    made = made.scaled(float(call.attr("alpha", 1.0)))
    return [combine.add(made, repeated(bias.scaled(float(call.attr("beta", 1.0))), made.axes)[0])]


@backward("addmm")
def addmm_back(call: Call, gradients: list[Gradient | None]) -> list[Gradient | None]:
    inner, out, g = call.memory.get("inner"), call.outputs[0] if call.outputs else None, gradients[0]
    if inner is None or out is None or g is None:
        return [None, None, None]
    inner.outputs = [out]
    n = out.counts()
    places = n.positions * n.samples
    shift = places * (g.q + (n.positions - 1) * g.positions + (places - n.positions) * g.samples)
    return [Gradient(max(shift, 0.0)), *matmul_back(inner, [g])]


@forward("outer")
def outer(call: Call) -> list[Signal | None]:
    a, b = call.known(0), call.known(1)
    if a is None or b is None:
        return [None]
    if a.table or b.table:
        return [(a if a.table else b).fresh(axes=(a.axes[0], b.axes[0]), table=True)]
    made = Signal(
        a.mean * b.mean, a.q * b.q, a.q * b.features, a.features * b.q, a.samples * b.samples, (a.axes[0], b.axes[0])
    )
    return [made]
