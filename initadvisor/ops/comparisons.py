"""Comparisons and logic: the results carry no gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from initadvisor.ops.registry import register
from initadvisor.ops.spelling import spell


def _plain(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda *inputs, **_: np.asarray(function(*inputs))


for _name, _function, _torch, _dunder, _onnx in (
    ("eq", np.equal, "eq", "__eq__", "Equal"),
    ("ne", np.not_equal, "ne not_equal", "__ne__", ""),
    ("gt", np.greater, "gt greater", "__gt__", "Greater"),
    ("ge", np.greater_equal, "ge greater_equal", "__ge__", "GreaterOrEqual"),
    ("lt", np.less, "lt less", "__lt__", "Less"),
    ("le", np.less_equal, "le less_equal", "__le__", "LessOrEqual"),
    ("logical_and", np.logical_and, "logical_and", "", "And"),
    ("logical_or", np.logical_or, "logical_or", "", "Or"),
    ("logical_xor", np.logical_xor, "logical_xor", "", "Xor"),
    ("bitwise_and", np.bitwise_and, "bitwise_and", "__and__ __iand__ __rand__", "BitwiseAnd"),
    ("bitwise_or", np.bitwise_or, "bitwise_or", "__or__ __ior__ __ror__", "BitwiseOr"),
    ("bitwise_xor", np.bitwise_xor, "bitwise_xor", "__xor__ __ixor__ __rxor__", "BitwiseXor"),
    ("left_shift", np.left_shift, "bitwise_left_shift", "__lshift__ __ilshift__", ""),
    ("right_shift", np.right_shift, "bitwise_right_shift", "__rshift__ __irshift__", ""),
):
    register(
        _name,
        "compare",
        "input other",
        evaluate=_plain(_function),
        torch=spell(_torch, "input other", inplace=True, also=" ".join(f"torch.Tensor.{d}" for d in _dunder.split())),
        onnx=_onnx,
    )
for _name, _predicate, _torch, _also, _onnx in (
    ("logical_not", np.logical_not, "logical_not", "", "Not"),
    ("bitwise_not", np.invert, "bitwise_not", "torch.Tensor.__invert__", "BitwiseNot"),
    ("isnan", np.isnan, "isnan", "", "IsNaN"),
    ("isinf", np.isinf, "isinf isneginf isposinf", "", "IsInf"),
    ("isfinite", np.isfinite, "isfinite", "", ""),
):
    register(
        _name,
        "compare",
        "input",
        evaluate=_plain(_predicate),
        torch=spell(_torch, "input", inplace=True, also=_also),
        onnx=_onnx,
    )
register("bit_shift", "compare", "input other", onnx="BitShift")
register("isclose", "compare", "input other", torch=spell("isclose allclose equal", "input other"))
register("isin", "compare", "elements test_elements", torch="torch.isin")
