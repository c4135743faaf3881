"""Shapes and types of values that the file does not declare, from the nodes that make them.

onnx's own inference is not used: it crashes the process on some damaged attributes, loops over declared sizes, and
does not see through shape arithmetic. Where no rule applies a shape stays unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from initadvisor.frontends.onnx_model.shape_rules import FAMILIES, MANY, RULES
from initadvisor.graph import Dim, Node, Shape, Value

if TYPE_CHECKING:
    from initadvisor.ops import Operator

_BOOL = frozenset({"eq", "ne", "gt", "ge", "lt", "le", "logical_and", "logical_or", "logical_xor", "logical_not"})
_ALSO_BOOL = frozenset({"isnan", "isinf", "isfinite"})
_INDICES = frozenset({"argmax", "argmin", "nonzero", "shape_of", "size_of"})
_SECOND = frozenset({"embedding", "where", "one_hot"})
_SECOND_OUTPUT = {"topk": "int64", "max_pool": "int64", "dropout": "bool", "dynamic_quantize": "float32"}
_SIZE_LIMIT = 1 << 62


def complete(
    node: Node, entry: Operator, outputs: Sequence[Value], inputs: Sequence[Shape | None], dtypes: Sequence[str | None]
) -> None:
    """Fill the open shapes and types of a node's outputs; what the file declares is never overruled."""
    if any(value.shape is None or None in value.shape for value in outputs):
        for value, found in zip(outputs, shapes(node, entry, inputs, len(outputs)), strict=False):
            value.shape = _merged(value.shape, found)
    first = outputs[0]
    if first.dtype is None:
        first.dtype = _dtype(node, entry, dtypes)
    if len(outputs) > 1 and outputs[1].dtype is None:
        outputs[1].dtype = _SECOND_OUTPUT.get(node.op, first.dtype)


def shapes(node: Node, entry: Operator, inputs: Sequence[Shape | None], count: int) -> Sequence[Shape | None]:
    """What the operator makes of its inputs' shapes: as many outputs as it has a rule for."""
    many = MANY.get(node.op)
    rule = RULES.get(node.op) or FAMILIES.get(entry.family)
    if entry.slots and not entry.slots[-1].endswith("..."):
        inputs = inputs[: len(entry.slots)]  # behind the slots stand inputs that name attributes
    try:
        if many is not None:
            found = many(inputs, node.attrs, count)
        else:
            found = () if rule is None else (rule(inputs, node.attrs),)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
        return ()
    return [shape if _possible(shape) else None for shape in found]


def _possible(shape: Shape | None) -> bool:
    if shape is None:
        return False
    return all(size is None or (isinstance(size, int) and 0 <= size < _SIZE_LIMIT) for size in shape)


def _merged(known: Shape | None, found: Shape | None) -> Shape | None:
    if known is None or found is None or len(known) != len(found):
        return found if known is None else known
    return tuple(map(_closer, known, found))


def _closer(known: Dim, found: Dim) -> Dim:
    return found if known is None else known


def _dtype(node: Node, entry: Operator, dtypes: Sequence[str | None]) -> str | None:
    if node.op in _BOOL or node.op in _ALSO_BOOL:
        return "bool"
    if node.op in _INDICES:
        return "int64"
    if node.op == "cast":
        wanted = node.attrs.get("dtype")
        return wanted if isinstance(wanted, str) else None
    if node.op == "dequantize":
        return dtypes[1] if len(dtypes) > 1 else None
    if node.op == "dynamic_quantize":
        return "uint8"
    if node.op == "quantize":
        return (dtypes[2] if len(dtypes) > 2 else None) or "uint8"
    if node.op in _SECOND:
        return dtypes[1] if len(dtypes) > 1 else None
    if entry.family in ("create", "control", "other") and node.op != "arange":
        return None
    return next((dtype for dtype in dtypes if dtype is not None), None)
