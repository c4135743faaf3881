"""One parameter that a file stores twice: an exporter transposes a weight ahead of time and keeps the original too.

A language model's head that shares the embedding's table, or a weight that one module uses as it is and another
transposed, then looks like two tensors. They are one if one is the other's transpose element by element.
"""

from __future__ import annotations

import numpy as np

from initadvisor.frontends.onnx_model.builder import Builder
from initadvisor.frontends.onnx_model.naming import MADE_UP, Named
from initadvisor.frontends.onnx_model.tensors import Tensor
from initadvisor.frontends.storage_types import STORAGE_TYPES

_SAMPLE = 4096
"""Elements compared; drawn values that agree in so many places are the same."""


def joined(builder: Builder, first: list[Named], second: list[Named]) -> list[Named] | None:
    """Two families of uses as one, the nodes that read the transposed copy turned to read the kept one.

    None where the two are not the same elements, or where a node cannot read the other layout.
    """
    for kept, other in ((first, second), (second, first)):
        here, there = kept[0].use.tensor, other[0].use.tensor
        if here.shape == there.shape and _same(here, there, transposed=False):
            return [*kept, *other]
        if here.shape != there.shape[::-1] or not all(_turnable(builder, named) for named in other):
            continue
        if _same(here, there, transposed=True):
            for named in other:
                _turn(builder, named)
                named.use.tensor = here
            return [*kept, *other]
    return None


def embeddings(builder: Builder, families: list[list[Named]]) -> list[tuple[list[Named], list[Named]]]:
    """Pairs of an embedding's table and a product's weight of the transposed shape whose name an exporter made up."""
    if builder.origin.exporter != "torchscript":
        return []
    tables: dict[tuple[int, ...], list[list[Named]]] = {}
    for family in families:
        if any(_op(builder, named) == "embedding" for named in family):
            tables.setdefault(family[0].use.tensor.shape, []).append(family)
    return [
        (table, family)
        for family in families
        if MADE_UP.match(family[0].use.tensor.name) and all(_turnable(builder, named) for named in family)
        for table in tables.get(family[0].use.tensor.shape[::-1], [])
    ]


def _op(builder: Builder, named: Named) -> str:
    return builder.graph.nodes[named.use.node].op if named.use.node >= 0 else ""


def _turnable(builder: Builder, named: Named) -> bool:
    op, use = _op(builder, named), named.use
    return (op == "matmul" and use.position == 1 and len(use.tensor.shape) == 2) or (op == "gemm" and use.position == 1)


def _turn(builder: Builder, named: Named) -> None:
    """x @ W becomes linear(x, W transposed)."""
    node = builder.graph.nodes[named.use.node]
    if node.op == "gemm":
        node.attrs["transposed_weight"] = not node.attrs.get("transposed_weight")
    else:
        node.op = "linear"
        node.inputs = (*node.inputs[:2], None)


def _same(first: Tensor, second: Tensor, *, transposed: bool) -> bool:
    left, right = _elements(first), _elements(second)
    if left is None or right is None or first.dtype != second.dtype or not left.size:
        return False
    if transposed and left.ndim != 2:
        return False
    flat = np.linspace(0, left.size - 1, min(_SAMPLE, left.size)).astype(np.int64)
    places = np.unravel_index(flat, left.shape)
    values = left[places]
    if (values == values[0]).all():
        return False
    return bool((values == right[places[::-1] if transposed else places]).all())


def _elements(tensor: Tensor) -> np.ndarray | None:
    kind = STORAGE_TYPES.get(tensor.dtype)
    if kind is None or kind.packed or tensor.stored is None:
        return None
    return tensor.stored().view(kind.storage).reshape(tensor.shape)
