"""Shapes that onnx's inference leaves open, completed from the canonical node.

Its inference does not see through all shape arithmetic (a slice whose end is a quotient), and one open shape opens all
that follow. Only single, well-known rules are here; where none applies the shape stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from initadvisor.graph import Dim, Shape

Shapes = Sequence[Shape | None]
Rule = Callable[[Shapes, Mapping[str, Any]], Shape | None]

_SAME = frozenset({"activation", "random", "norm", "quantize"})
_PAIRS = frozenset({"elementwise", "compare"})


def complete(op: str, family: str, inputs: Shapes, attrs: Mapping[str, Any], known: Shape | None) -> Shape | None:
    """The shape of a node's first output: `known` where it is closed, else what the operator makes of its inputs."""
    if known is not None and None not in known:
        return known
    rule = _RULES.get(op)
    try:
        if rule is not None:
            found = rule(inputs, attrs)
        elif family in _SAME:
            found = inputs[0] if inputs else None
        elif family in _PAIRS:
            found = _broadcast(inputs, attrs)
        else:
            return known
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return known
    if found is None:
        return known
    return found if known is None or len(found) != len(known) else tuple(map(_closer, known, found))


def _closer(known: Dim, found: Dim) -> Dim:
    return found if known is None else known


def _broadcast(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    shapes = [shape for shape in inputs if shape is not None]
    if not shapes or len(shapes) < len(inputs):
        return None
    rank = max(map(len, shapes))
    out: list[Dim] = []
    for sizes in zip(*[(1,) * (rank - len(shape)) + shape for shape in shapes], strict=True):
        wide = {size for size in sizes if size != 1}
        out.append(1 if not wide else wide.pop() if len(wide) == 1 else max(wide - {None}, default=None))  # type: ignore[type-var]
    return tuple(out)


def _first(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    return inputs[0]


def _slice(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    if inputs[0] is None:
        return None
    out = list(inputs[0])
    for start, end, dim, step in zip(attrs["start"], attrs["end"], attrs["dim"], attrs["step"], strict=True):
        size = out[dim]
        if size is not None and not (step < 0 and end < -size):
            out[dim] = len(range(*slice(start, end, step).indices(size)))
        else:
            out[dim] = size if size is not None and step == -1 and start in (-1, size - 1) else None
    return tuple(out)


def _reshape(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    target, whole = attrs["shape"], inputs[0]
    if -1 not in target:
        return None if 0 in target else tuple(target)
    if whole is None or None in whole or 0 in target:
        return tuple(None if size in (-1, 0) else size for size in target)
    rest = prod(size for size in target if size != -1)
    return tuple(prod(s for s in whole if s is not None) // rest if size == -1 else size for size in target)


def _permute(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    return None if inputs[0] is None else tuple(inputs[0][dim] for dim in attrs["dims"])


def _squeeze(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    if inputs[0] is None or attrs.get("dim") is None:
        return None
    gone = {dim % len(inputs[0]) for dim in attrs["dim"]}
    return tuple(size for axis, size in enumerate(inputs[0]) if axis not in gone)


def _unsqueeze(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    if inputs[0] is None:
        return None
    rank = len(inputs[0]) + len(attrs["dim"])
    new = {dim % rank for dim in attrs["dim"]}
    old = iter(inputs[0])
    return tuple(1 if axis in new else next(old) for axis in range(rank))


def _cat(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    shapes = [shape for shape in inputs if shape is not None]
    if not shapes or len(shapes) < len(inputs):
        return None
    dim = attrs["dim"]
    along = [shape[dim] for shape in shapes]
    out = list(shapes[0])
    out[dim] = None if None in along else sum(size for size in along if size is not None)
    return tuple(out)


def _matmul(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    left, right = inputs[0], inputs[1]
    if left is None or right is None or len(left) < 2 or len(right) < 2:
        return None
    batch = _broadcast((left[:-2], right[:-2]), attrs)
    return None if batch is None else (*batch, left[-2], right[-1])


def _gemm(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    left, right = inputs[0], inputs[1]
    rows = None if left is None else left[1 if attrs["transposed_input"] else 0]
    return None if right is None else (rows, right[0 if attrs["transposed_weight"] else 1])


def _embedding(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    indices, table = inputs[0], inputs[1]
    return None if indices is None or table is None else (*indices, *table[1:])


def _index_select(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    data, indices = inputs[0], inputs[1]
    if data is None or indices is None:
        return None
    dim = attrs["dim"] % len(data)
    return (*data[:dim], *indices, *data[dim + 1 :])


def _conv(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    data, weight = inputs[0], inputs[1]
    if weight is None:
        return None
    kernel = weight[2:]
    spatial = (None,) * len(kernel) if data is None else data[2:]
    sizes = _windows(spatial, kernel, attrs)
    return (None if data is None else data[0], weight[0], *sizes)


def _pool(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    data = inputs[0]
    if data is None or attrs.get("ceil_mode"):
        return None
    return (*data[:2], *_windows(data[2:], attrs["kernel_size"], attrs))


def _windows(spatial: Shape, kernel: Shape, attrs: Mapping[str, Any]) -> Shape:
    out: list[Dim] = []
    for axis, (size, width) in enumerate(zip(spatial, kernel, strict=True)):
        stride, dilation = attrs["stride"][axis], attrs["dilation"][axis]
        if size is None or width is None:
            out.append(None)
        elif attrs["padding"] == "same":
            out.append(-(-size // stride))
        else:
            pad = attrs["padding"][axis]
            ends = sum(pad) if isinstance(pad, tuple) else 2 * pad
            out.append((size + ends - dilation * (width - 1) - 1) // stride + 1)
    return tuple(out)


def _global_pool(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    return None if inputs[0] is None else (*inputs[0][:2], *[1] * (len(inputs[0]) - 2))


def _flatten(inputs: Shapes, attrs: Mapping[str, Any]) -> Shape | None:
    if inputs[0] is None:
        return None
    at = attrs["start_dim"]
    parts = (inputs[0][:at], inputs[0][at:])
    return tuple(None if None in part else prod(s for s in part if s is not None) for part in parts)


_RULES: dict[str, Rule] = {
    "slice": _slice,
    "reshape": _reshape,
    "permute": _permute,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "cat": _cat,
    "expand": lambda inputs, attrs: _broadcast((inputs[0], attrs["shape"]), attrs),
    "cast": _first,
    "identity": _first,
    "softmax": _first,
    "log_softmax": _first,
    "where": _broadcast,
    "matmul": _matmul,
    "gemm": _gemm,
    "embedding": _embedding,
    "index_select": _index_select,
    "conv": _conv,
    "max_pool": _pool,
    "avg_pool": _pool,
    "adaptive_avg_pool": _global_pool,
    "adaptive_max_pool": _global_pool,
    "flatten": _flatten,
}
