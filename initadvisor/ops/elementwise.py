"""Element-wise arithmetic and functions, with `evaluate` on numpy arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from initadvisor.ops import functions as f
from initadvisor.ops.registry import register
from initadvisor.ops.spelling import spell

Array = NDArray[np.float64]


def _add(x: Array, other: Array, alpha: float = 1, **_: object) -> Array:
    return np.asarray(x + (other if alpha == 1 else alpha * other))


def _sub(x: Array, other: Array, alpha: float = 1, **_: object) -> Array:
    return np.asarray(x - (other if alpha == 1 else alpha * other))


def _div(x: Array, other: Array, rounding_mode: str | None = None, **_: object) -> Array:
    if np.issubdtype(np.result_type(x, other), np.integer) and rounding_mode == "trunc":
        return np.asarray(np.sign(x) * np.sign(other) * (np.abs(x) // np.abs(other)))
    quotient = np.true_divide(x, other)
    return {None: quotient, "floor": np.floor(quotient), "trunc": np.trunc(quotient)}[rounding_mode]


def _clamp(x: Array, min: float | None = None, max: float | None = None, **_: object) -> Array:
    return np.asarray(x) if min is None and max is None else np.clip(x, min, max)


def _nan_to_num(x: Array, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Array:
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def _plain(function: Callable[..., Array]) -> Callable[..., Array]:
    """Drop attributes that change nothing about the numbers (out, dtype, inplace)."""
    return lambda *inputs, **_: np.asarray(function(*inputs))


def _binary(name: str, function: Callable[..., Array], torch: str, *, dunder: str = "", onnx: str = "") -> None:
    operators = [f"torch.Tensor.__{d}__" for d in dunder.split()] + [f"torch.Tensor.__i{d}__" for d in dunder.split()]
    register(
        name,
        "elementwise",
        "input other",
        evaluate=function,
        torch=spell(torch, "input other alpha", inplace=True, also=" ".join(operators)),
        onnx=onnx,
    )


def _unary(name: str, function: Callable[..., Array], torch: str = "", *, onnx: str = "", also: str = "") -> None:
    register(
        name,
        "elementwise",
        "input",
        evaluate=_plain(function),
        torch=spell(torch or name, "input", inplace=True, also=also),
        onnx=onnx,
    )


_binary("add", _add, "add", dunder="add", onnx="Add")
register("reversed_add", "elementwise", "input other", evaluate=_add, torch="torch.Tensor.__radd__")
_binary("sub", _sub, "sub subtract", dunder="sub", onnx="Sub")
register(
    "reversed_sub",
    "elementwise",
    "other input",
    evaluate=lambda other, x, alpha=1, **_: np.asarray(x - alpha * other),
    torch={"torch.Tensor.__rsub__": "other input", "torch.rsub": "other input alpha"},
)
_binary("mul", _plain(np.multiply), "mul multiply", dunder="mul", onnx="Mul")
register("reversed_mul", "elementwise", "input other", evaluate=_plain(np.multiply), torch="torch.Tensor.__rmul__")
register(
    "div",
    "elementwise",
    "input other",
    evaluate=_div,
    torch=spell(
        "div divide true_divide",
        "input other",
        inplace=True,
        also="torch.Tensor.__truediv__ torch.Tensor.__itruediv__ torch.Tensor.__div__ torch.Tensor.__idiv__",
    ),
    onnx="Div",
)
register(
    "reversed_div",
    "elementwise",
    "other input",
    evaluate=lambda other, x, **_: np.true_divide(x, other),
    torch="torch.Tensor.__rtruediv__ torch.Tensor.__rdiv__",
)
_binary("floor_divide", _plain(np.floor_divide), "floor_divide", dunder="floordiv")
register(
    "reversed_floor_divide",
    "elementwise",
    "other input",
    evaluate=lambda other, x, **_: np.floor_divide(x, other),
    torch="torch.Tensor.__rfloordiv__",
)
_binary("remainder", _plain(np.remainder), "remainder", dunder="mod")
register(
    "reversed_remainder",
    "elementwise",
    "other input",
    evaluate=lambda other, x, **_: np.remainder(x, other),
    torch="torch.Tensor.__rmod__",
)
register(
    "fmod",
    "elementwise",
    "input other",
    evaluate=lambda x, other, fmod=1, **_: np.fmod(x, other) if fmod else np.remainder(x, other),
    torch=spell("fmod", "input other", inplace=True),
    onnx="Mod",
    onnx_defaults={"Mod": {"fmod": 0}},
)
register(
    "pow",
    "elementwise",
    "input exponent",
    evaluate=_plain(np.power),
    torch=spell(
        "pow float_power",
        "input exponent",
        inplace=True,
        also="torch.Tensor.__pow__ torch.Tensor.__ipow__ torch.special.pow",
    ),
    onnx="Pow",
)
register(
    "reversed_pow",
    "elementwise",
    "exponent input",
    evaluate=lambda exponent, x, **_: np.power(x, exponent),
    torch="torch.Tensor.__rpow__",
)
_binary("maximum", _plain(np.maximum), "maximum fmax")
_binary("minimum", _plain(np.minimum), "minimum fmin")
_binary("atan2", _plain(np.arctan2), "atan2 arctan2")
_binary("hypot", _plain(np.hypot), "hypot")
_binary("logaddexp", _plain(np.logaddexp), "logaddexp")
_binary("copysign", _plain(np.copysign), "copysign")
_binary("xlogy", _plain(lambda x, y: np.where(x == 0, 0.0, x * np.log(np.where(x == 0, 1.0, y)))), "xlogy")
for _name, _function, _onnx in (
    ("variadic_sum", lambda *xs: sum(xs[1:], xs[0]), "Sum"),
    ("variadic_mean", lambda *xs: sum(xs[1:], xs[0]) / len(xs), "Mean"),
    ("variadic_max", lambda *xs: np.maximum.reduce(np.broadcast_arrays(*xs)), "Max"),
    ("variadic_min", lambda *xs: np.minimum.reduce(np.broadcast_arrays(*xs)), "Min"),
):
    register(_name, "elementwise", "inputs...", evaluate=_plain(_function), onnx=_onnx)

register(
    "lerp",
    "elementwise",
    "input end weight",
    evaluate=_plain(lambda x, end, weight: x + weight * (end - x)),
    torch=spell("lerp", "input end weight", inplace=True),
)
register(
    "addcmul",
    "elementwise",
    "input tensor1 tensor2",
    evaluate=lambda x, a, b, value=1, **_: x + value * a * b,
    torch=spell("addcmul", "input tensor1 tensor2", inplace=True),
)
register(
    "addcdiv",
    "elementwise",
    "input tensor1 tensor2",
    evaluate=lambda x, a, b, value=1, **_: x + value * a / b,
    torch=spell("addcdiv", "input tensor1 tensor2", inplace=True),
)
register(
    "clamp",
    "elementwise",
    "input",
    evaluate=_clamp,
    torch=spell("clamp clip", "input min max", inplace=True)
    | spell("clamp_min", "input min", inplace=True)
    | spell("clamp_max", "input max", inplace=True),
    onnx={"Clip": {}},
    onnx_inputs={"Clip": "input min max"},
)
register(
    "nan_to_num",
    "elementwise",
    "input",
    evaluate=_nan_to_num,
    torch=spell("nan_to_num", "input nan posinf neginf", inplace=True),
)
register(
    "round",
    "elementwise",
    "input",
    evaluate=lambda x, decimals=0, **_: np.round(x, decimals),
    torch=spell("round", "input", inplace=True, also="torch.special.round"),
    onnx="Round",
)
_unary("neg", np.negative, "neg negative", onnx="Neg", also="torch.Tensor.__neg__")
_unary("positive", lambda x: x, also="torch.Tensor.__pos__")
_unary("abs", np.abs, "abs absolute", onnx="Abs", also="torch.Tensor.__abs__")
_unary("sqrt", np.sqrt, onnx="Sqrt")
_unary("rsqrt", lambda x: 1.0 / np.sqrt(x))
_unary("square", np.square)
_unary("reciprocal", lambda x: 1.0 / x, onnx="Reciprocal")
_unary("exp", np.exp, onnx="Exp")
_unary("exp2", np.exp2, also="torch.special.exp2")
_unary("expm1", np.expm1, also="torch.special.expm1")
_unary("log", np.log, onnx="Log")
_unary("log2", np.log2)
_unary("log10", np.log10)
_unary("log1p", np.log1p, also="torch.special.log1p")
_unary("erf", f.erf, onnx="Erf", also="torch.special.erf")
_unary("erfc", lambda x: 1.0 - f.erf(x), also="torch.special.erfc")
_unary("normal_cdf", f.normal_cdf, "special.ndtr")
_unary("sin", np.sin, onnx="Sin")
_unary("cos", np.cos, onnx="Cos")
_unary("tan", np.tan, onnx="Tan")
_unary("asin", np.arcsin, "asin arcsin", onnx="Asin")
_unary("acos", np.arccos, "acos arccos", onnx="Acos")
_unary("atan", np.arctan, "atan arctan", onnx="Atan")
_unary("sinh", np.sinh, onnx="Sinh")
_unary("cosh", np.cosh, onnx="Cosh")
_unary("asinh", np.arcsinh, "asinh arcsinh", onnx="Asinh")
_unary("acosh", np.arccosh, "acosh arccosh", onnx="Acosh")
_unary("atanh", np.arctanh, "atanh arctanh", onnx="Atanh")
_unary("sinc", np.sinc, also="torch.special.sinc")
_unary("sign", np.sign, "sign sgn", onnx="Sign")
_unary("ceil", np.ceil, onnx="Ceil")
_unary("floor", np.floor, onnx="Floor")
_unary("trunc", np.trunc, "trunc fix")
_unary("frac", lambda x: x - np.trunc(x))
_unary("logit", lambda x: np.log(x / (1.0 - x)), also="torch.special.logit")
for _name in ("erfinv", "lgamma", "digamma", "i0", "deg2rad", "rad2deg", "conj", "angle"):
    register(_name, "elementwise", "input", torch=spell(_name, "input", inplace=True))
