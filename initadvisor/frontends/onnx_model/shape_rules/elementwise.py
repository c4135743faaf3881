"""Shapes behind operators that act on each element: one shape, or several that are stretched to one."""

from __future__ import annotations

from collections.abc import Sequence

from initadvisor.frontends.onnx_model.shape_rules.rule import Attrs, Shapes
from initadvisor.graph import Dim, Shape


def broadcast(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """Sizes aligned at the end, ones stretched; an unknown size gives way to a known one above 1."""
    shapes = [shape for shape in inputs if shape is not None]
    if not shapes or len(shapes) < len(inputs):
        return None
    rank = max(map(len, shapes))
    out: list[Dim] = []
    for sizes in zip(*[(1,) * (rank - len(shape)) + shape for shape in shapes], strict=True):
        known = {size for size in sizes if size is not None and size != 1}
        if len(known) > 1:
            raise ValueError(f"sizes {sizes} do not match")
        out.append(known.pop() if known else None if None in sizes else 1)
    return tuple(out)


def first(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The shape of the first input."""
    return inputs[0]


def second(inputs: Shapes, attrs: Attrs) -> Shape | None:
    """The shape of the second input."""
    return inputs[1]


def same_everywhere(inputs: Shapes, attrs: Attrs, count: int) -> Sequence[Shape | None]:
    """The shape of the first input for every output."""
    return [inputs[0]] * count
