"""Shapes behind products with a weight or of two signals, and behind what is made of them."""

from __future__ import annotations

from collections.abc import Sequence

from initadvisor.frontends.onnx_model.shape_rules.elementwise import broadcast
from initadvisor.frontends.onnx_model.shape_rules.rule import Attrs, Shapes
from initadvisor.graph import Dim, Shape


def matmul(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """(batch axes stretched to each other ..., rows, columns)."""
    left, right = inputs[0], inputs[1]
    if left is None or right is None or not left or not right:
        return None
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()
    batch = broadcast((left[:-2], right[:-2]), attrs)
    return None if batch is None else (*batch, *rows, *columns)


def linear(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """(..., out) for a weight of (out, in)."""
    left, weight = inputs[0], inputs[1]
    return None if left is None or weight is None else (*left[:-1], weight[0])


def gemm(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """(rows, columns) with either factor transposed."""
    left, right = inputs[0], inputs[1]
    rows = None if left is None else left[1 if attrs["transposed_input"] else 0]
    return None if right is None else (rows, right[0 if attrs["transposed_weight"] else 1])


def einsum(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The size of each letter that the equation keeps; none is known where it has an ellipsis."""
    equation = str(attrs["equation"]).replace(" ", "")
    left, arrow, right = equation.partition("->")
    if "." in equation:
        return None
    sizes: dict[str, Dim] = {}
    for term, shape in zip(left.split(","), inputs, strict=True):
        if shape is not None:
            sizes.update((letter, size) for letter, size in zip(term, shape, strict=True) if size is not None)
    kept = right if arrow else "".join(sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1))
    return tuple(sizes.get(letter) for letter in kept)


def attention(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The query with the width of the value, where heads are an axis of their own."""
    query, value = inputs[0], inputs[2]
    return (*query[:-1], value[-1]) if query is not None and value is not None and len(query) == 4 else None


def recurrent(inputs: Shapes, attrs: Attrs, count: int) -> Sequence[Shape | None]:
    """(length, sides, batch, hidden), then the last hidden and cell state (sides, batch, hidden); or batch first."""
    if inputs[0] is None:
        return ()
    two = attrs.get("bidirectional") or attrs.get("direction") == "bidirectional"
    sides, hidden = 2 if two else 1, attrs["hidden_size"]
    if attrs.get("batch_first") or attrs.get("layout"):
        batch, length, _ = inputs[0]
        return [(batch, length, sides, hidden), (batch, sides, hidden), (batch, sides, hidden)]
    length, batch, _ = inputs[0]
    return [(length, sides, batch, hidden), (sides, batch, hidden), (sides, batch, hidden)]
