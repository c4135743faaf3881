"""Arithmetic on small constants, as shapes need it: Shape -> Gather -> Concat -> Reshape becomes one known shape.

Only what exporters use to compute shapes, positions and scalars is here; weights never pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from initadvisor.frontends.onnx_model.tensors import DTYPES

FOLD_ELEMENTS = 4096
"""The most elements that a folded result may have."""

Array = np.ndarray
Rule = Callable[[Sequence[Array | None], Mapping[str, Any], int], Array | None]


def fold(op_type: str, inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
    """The first output of a standard operator on known inputs, or None where it is not folded."""
    rule = RULES.get(op_type)
    if rule is None:
        return None
    try:
        with np.errstate(all="ignore"):
            result = rule(inputs, attrs, opset)
    except (ValueError, IndexError, TypeError, KeyError, OverflowError, ZeroDivisionError, MemoryError):
        return None  # the operands do not fit: left to be reported as the node it is
    return None if result is None or result.size > FOLD_ELEMENTS else np.asarray(result)


def _binary(function: Callable[[Array, Array], Array]) -> Rule:
    def rule(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
        left, right = inputs[0], inputs[1]
        if left is None or right is None or prod(np.broadcast_shapes(left.shape, right.shape)) > FOLD_ELEMENTS:
            return None
        return function(left, right)

    return rule


def _unary(function: Callable[[Array], Array]) -> Rule:
    return lambda inputs, attrs, opset: None if inputs[0] is None else np.asarray(function(inputs[0]), inputs[0].dtype)


def _divide(left: Array, right: Array) -> Array:
    if left.dtype.kind in "iu":
        if not right.all():
            raise ZeroDivisionError
        return np.asarray(np.fix(left / right), left.dtype) if left.dtype.kind == "i" else left // right
    return np.asarray(left / right)


def _axes(inputs: Sequence[Array | None], attrs: Mapping[str, Any]) -> tuple[int, ...] | None:
    given = inputs[1] if len(inputs) > 1 else None
    if given is not None:
        return tuple(int(a) for a in given.reshape(-1))
    axes = attrs.get("axes")
    return None if axes is None else tuple(axes)


def _first(inputs: Sequence[Array | None]) -> Array:
    if inputs[0] is None:
        raise ValueError
    return inputs[0]


def _squeeze(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array:
    return np.squeeze(_first(inputs), _axes(inputs, attrs))


def _unsqueeze(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array:
    axes = _axes(inputs, attrs)
    return np.expand_dims(_first(inputs), axes or ())


def _gather(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
    data, indices = _first(inputs), inputs[1]
    axis = int(attrs.get("axis", 0))
    if indices is None or indices.size * data.size > FOLD_ELEMENTS * max(data.shape[axis], 1):
        return None
    return np.take(data, indices.astype(np.int64), axis)


def _concat(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
    parts = [part for part in inputs if part is not None]
    if len(parts) < len(inputs) or sum(part.size for part in parts) > FOLD_ELEMENTS:
        return None
    return np.concatenate(parts, int(attrs.get("axis", 1)))


def _slice(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
    data = _first(inputs)
    if opset < 10:
        starts, ends = attrs["starts"], attrs["ends"]
        axes, steps = attrs.get("axes"), None
    else:
        given = [None if part is None else part.reshape(-1).tolist() for part in (*inputs[1:], None, None)]
        starts, ends, axes, steps = given[0], given[1], given[2], given[3]
        if starts is None or ends is None:
            return None
    picks = [slice(None)] * data.ndim
    for position, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = axes[position] if axes else position
        step = steps[position] if steps else 1
        stop: int | None = None if step < 0 and end < -data.shape[axis] else end
        picks[axis] = slice(start, stop, step)
    return data[tuple(picks)]


def _reshape(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
    data = _first(inputs)
    target = attrs.get("shape") if opset < 5 else inputs[1]
    if target is None:
        return None
    sizes = [int(d) for d in np.asarray(target).reshape(-1)]
    if not attrs.get("allowzero"):
        sizes = [data.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return data.reshape(sizes)


def _cast(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
    name = DTYPES.get(attrs.get("to", 0)) if not isinstance(attrs.get("to"), str) else str(attrs["to"]).lower()
    if name in ("float", "bfloat16", "float16", "float32"):
        return _first(inputs).astype(np.float32)  # half types are held as float32 here
    if name not in ("float64", "double", "int64", "int32", "int16", "int8", "uint8", "bool"):
        return None
    return _first(inputs).astype({"double": "float64"}.get(name, name))


def _range(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
    if any(part is None for part in inputs):
        return None
    start, limit, delta = (part.reshape(-1)[0] for part in inputs if part is not None)
    if not delta or not np.isfinite(count := (float(limit) - float(start)) / float(delta)) or count > FOLD_ELEMENTS:
        return None
    return np.arange(start, limit, delta, dtype=np.asarray(start).dtype)


def _where(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
    condition, left, right = inputs
    if condition is None or left is None or right is None:
        return None
    if prod(np.broadcast_shapes(condition.shape, left.shape, right.shape)) > FOLD_ELEMENTS:
        return None
    return np.where(condition, left, right)


def _expand(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
    data, shape = _first(inputs), inputs[1]
    if shape is None:
        return None
    target = np.broadcast_shapes(data.shape, tuple(int(d) for d in shape.reshape(-1)))
    return np.broadcast_to(data, target) if prod(target) <= FOLD_ELEMENTS else None


def _reduce(function: Callable[..., Array]) -> Rule:
    def rule(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array:
        data = _first(inputs)
        result = function(data, axis=_axes(inputs, attrs), keepdims=bool(attrs.get("keepdims", 1)))
        return np.asarray(result, data.dtype)

    return rule


def _variadic(function: Callable[[Array, Array], Array]) -> Rule:
    pair = _binary(function)

    def rule(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
        result = inputs[0]
        for part in inputs[1:]:
            result = pair((result, part), attrs, opset)
        return result

    return rule


def _modulo(inputs: Sequence[Array | None], attrs: Mapping[str, Any], opset: int) -> Array | None:
    return _binary(np.fmod if attrs.get("fmod") else np.mod)(inputs, attrs, opset)


def _power(left: Array, right: Array) -> Array:
    return np.asarray(np.power(left.astype(np.float64), right.astype(np.float64)), left.dtype)


RULES: dict[str, Rule] = {
    "Add": _binary(lambda a, b: np.asarray(a + b)),
    "Sub": _binary(lambda a, b: np.asarray(a - b)),
    "Mul": _binary(lambda a, b: np.asarray(a * b)),
    "Div": _binary(_divide),
    "Mod": _modulo,
    "Pow": _binary(_power),
    "Equal": _binary(np.equal),
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "And": _binary(np.logical_and),
    "Or": _binary(np.logical_or),
    "Max": _variadic(np.maximum),
    "Min": _variadic(np.minimum),
    "Sum": _variadic(np.add),
    "Not": _unary(np.logical_not),
    "Neg": _unary(np.negative),
    "Abs": _unary(np.abs),
    "Sqrt": _unary(np.sqrt),
    "Reciprocal": _unary(np.reciprocal),
    "Ceil": _unary(np.ceil),
    "Floor": _unary(np.floor),
    "Exp": _unary(np.exp),
    "Log": _unary(np.log),
    "Identity": lambda inputs, attrs, opset: inputs[0],
    "Cast": _cast,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Gather": _gather,
    "Concat": _concat,
    "Slice": _slice,
    "Reshape": _reshape,
    "Transpose": lambda inputs, attrs, opset: np.transpose(_first(inputs), attrs.get("perm")),
    "Range": _range,
    "Where": _where,
    "Expand": _expand,
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
}
"""Operator type -> how to compute it; operators not named here are never folded."""
