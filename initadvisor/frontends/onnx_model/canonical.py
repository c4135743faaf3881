"""Attributes under their canonical names and in one form, whatever the operator set version spelled.

Names and defaults come from the shared operator table; what is here is the change of form: paddings, axes, types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from initadvisor.frontends.onnx_model.attributes import short
from initadvisor.frontends.onnx_model.tensors import DTYPES
from initadvisor.graph import Shape
from initadvisor.ops import Operator


@dataclass(frozen=True, slots=True)
class Call:
    """One ONNX node as the forms below see it: its type, operator set version, first input's and outputs' shapes."""

    spelling: str
    opset: int
    shape: Shape | None
    output_shapes: tuple[Shape | None, ...]
    weight_shape: Shape | None = None
    open: bool = False
    """Whether an attribute comes as an input that the model computes."""


def formless(entry: Operator, spelling: str) -> bool:
    """Whether a node without attributes stays without."""
    return entry.name not in _FORMS and entry.family not in _FAMILY_FORMS and spelling not in entry.onnx_defaults


def canonical(entry: Operator, call: Call, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a node as the table's entry names them, defaults filled in where ONNX and torch differ."""
    renames = entry.onnx.get(call.spelling, {})
    found = {renames.get(name, name): value for name, value in attrs.items()}
    for name, value in entry.onnx_defaults.get(call.spelling, {}).items():
        found.setdefault(name, value)
    form = _FORMS.get(entry.name) or _FAMILY_FORMS.get(entry.family)
    if form is not None:
        form(found, call)
    return found


def plain(array: np.ndarray) -> Any:
    """A known input in the place of an attribute: a number, a tuple of numbers, or nested tuples."""
    return _nested(array.tolist())


def _nested(values: Any) -> Any:
    if isinstance(values, list):
        return tuple(_nested(v) for v in values)
    return short(values) if isinstance(values, float) else values


def _window(attrs: dict[str, Any], call: Call) -> None:
    """Convolution and pooling: one stride, dilation and padding per spatial axis.

    Padding is one number an axis where both ends agree, else a (begin, end) pair an axis, or "same" / "valid".
    """
    kernel = attrs.pop("kernel_shape", None) or attrs.get("kernel_size")
    if kernel is None and call.weight_shape is not None and len(call.weight_shape) > 2:
        kernel = call.weight_shape[2:]
    rank = len(kernel) if kernel is not None else max(len(call.shape or ()) - 2, 0)
    if kernel is not None:
        attrs["kernel_size"] = tuple(kernel)
    for name in ("stride", "dilation"):
        value = attrs.get(name)
        attrs[name] = tuple(value) if value else (1,) * rank
    pads = attrs.get("padding")
    mode = str(attrs.pop("auto_pad", "NOTSET"))
    if mode.startswith("SAME"):
        attrs["padding"] = "same"
    elif mode == "VALID" or not pads:
        attrs["padding"] = (0,) * rank
    else:
        half = len(pads) // 2
        ends = tuple(zip(pads[:half], pads[half:], strict=False))
        attrs["padding"] = tuple(begin for begin, _ in ends) if all(b == e for b, e in ends) else ends


def _convolution(attrs: dict[str, Any], call: Call) -> None:
    _window(attrs, call)
    attrs.setdefault("groups", 1)


def _reduction(attrs: dict[str, Any], call: Call) -> None:
    if "keepdim" in attrs:
        attrs["keepdim"] = bool(attrs["keepdim"])
    nothing = () if attrs.pop("noop_with_empty_axes", 0) else None
    if not call.open:
        attrs["dim"] = attrs.get("dim") or nothing


def _softmax(attrs: dict[str, Any], call: Call) -> None:
    """Up to version 12 the input is seen as a matrix whose columns are all axes from `axis` on, by default 1."""
    dim = int(attrs.get("dim", -1 if call.opset >= 13 else 1))
    attrs["dim"] = dim
    if call.opset < 13 and call.shape is not None:
        start = dim % max(len(call.shape), 1)
        axes = tuple(range(start, len(call.shape)))
        attrs["dim"] = axes[0] if len(axes) == 1 else tuple(a for a in axes if call.shape[a] != 1) or axes
        if isinstance(attrs["dim"], tuple) and len(attrs["dim"]) == 1:
            attrs["dim"] = attrs["dim"][0]


def _batch_norm(attrs: dict[str, Any], call: Call) -> None:
    """ONNX weighs the old mean by `momentum`, torch the new one."""
    attrs.setdefault("eps", 1e-5)
    attrs["momentum"] = short(1.0 - float(attrs.get("momentum", 0.9)))
    attrs["training"] = bool(attrs.get("training", 0))


def _layer_norm(attrs: dict[str, Any], call: Call) -> None:
    attrs.setdefault("eps", 1e-5)
    axis = int(attrs.pop("axis", -1))
    if call.shape is not None and -len(call.shape) <= axis < len(call.shape):
        attrs["normalized_shape"] = call.shape[axis:]
    elif call.weight_shape is not None:
        attrs["normalized_shape"] = call.weight_shape
    attrs["dim"] = axis


def _eps(attrs: dict[str, Any], call: Call) -> None:
    attrs.setdefault("eps", 1e-5)


def _cast(attrs: dict[str, Any], call: Call) -> None:
    code = attrs.get("dtype")
    if isinstance(code, int):
        attrs["dtype"] = DTYPES.get(code)
    elif isinstance(code, str):  # operator set 1 to 5 spelled the type out
        attrs["dtype"] = {"FLOAT": "float32", "DOUBLE": "float64"}.get(code, code.lower())


def _permute(attrs: dict[str, Any], call: Call) -> None:
    if not attrs.get("dims") and call.shape is not None:
        attrs["dims"] = tuple(reversed(range(len(call.shape))))


def _flatten(attrs: dict[str, Any], call: Call) -> None:
    attrs.setdefault("start_dim", 1)


def _reshape(attrs: dict[str, Any], call: Call) -> None:
    """A zero copies the size of the input; the sizes of the output, where they are known, say it all."""
    target, whole = attrs.get("shape"), call.output_shapes[0] if call.output_shapes else None
    zero_is_size = attrs.pop("allowzero", 0)
    if not isinstance(target, tuple):
        return
    if whole is not None and all(size is not None for size in whole):
        attrs["shape"] = whole
    elif call.shape is not None and not zero_is_size:
        given = call.shape
        copied = tuple(given[i] if size == 0 and i < len(given) else size for i, size in enumerate(target))
        attrs["shape"] = target if None in copied else copied


def _embedding(attrs: dict[str, Any], call: Call) -> None:
    attrs.pop("axis", None)


def _dims(attrs: dict[str, Any], call: Call) -> None:
    dim = attrs.get("dim")
    if isinstance(dim, int):
        attrs["dim"] = (dim,)
    elif dim is None and not call.open:
        attrs["dim"] = None


def _split(attrs: dict[str, Any], call: Call) -> None:
    """The sizes of the parts, from the outputs' shapes or by equal division where the node does not say."""
    dim = attrs["dim"] = int(attrs.get("dim", 0))
    count = attrs.pop("num_outputs", None) or len(call.output_shapes)
    if attrs.get("split_size_or_sections") is None:
        sizes = tuple(None if s is None or not -len(s) <= dim < len(s) else s[dim] for s in call.output_shapes)
        whole = call.shape[dim] if call.shape is not None and -len(call.shape) <= dim < len(call.shape) else None
        if all(size is not None for size in sizes):
            attrs["split_size_or_sections"] = sizes
        elif whole is not None and not call.open:
            size = -(-whole // count)
            attrs["split_size_or_sections"] = tuple(min(size, whole - size * i) for i in range(count))


def _slice(attrs: dict[str, Any], call: Call) -> None:
    start = attrs.get("start")
    if isinstance(start, tuple) and not call.open:
        attrs.setdefault("dim", tuple(range(len(start))))
        attrs.setdefault("step", (1,) * len(start))


def _gemm(attrs: dict[str, Any], call: Call) -> None:
    attrs.setdefault("alpha", 1.0)
    attrs.setdefault("beta", 1.0)
    for name in ("transposed_input", "transposed_weight"):
        attrs[name] = bool(attrs.get(name, 0))


def _dropout(attrs: dict[str, Any], call: Call) -> None:
    attrs.setdefault("p", 0.5)
    if call.opset < 7:
        attrs["training"] = not attrs.pop("is_test", 0)
    attrs["training"] = bool(attrs.get("training", False))


def _scalars(*names: str) -> Callable[[dict[str, Any], Call], None]:
    def form(attrs: dict[str, Any], call: Call) -> None:
        for name in names:
            value = attrs.get(name)
            if isinstance(value, tuple) and len(value) == 1:
                attrs[name] = value[0]

    return form


_Form = Callable[[dict[str, Any], Call], None]
_FORMS: dict[str, _Form] = {
    "conv": _convolution,
    "conv_transpose": _convolution,
    "deform_conv": _convolution,
    "max_pool": _window,
    "avg_pool": _window,
    "lp_pool": _window,
    "max_unpool": _window,
    "argmax": _scalars("dim"),
    "argmin": _scalars("dim"),
    "cumsum": _scalars("dim"),
    "cumprod": _scalars("dim"),
    "topk": _scalars("k"),
    "clamp": _scalars("min", "max"),
    "one_hot": _scalars("num_classes"),
    "arange": _scalars("start", "end", "step"),
    "softmax": _softmax,
    "log_softmax": _softmax,
    "hardmax": _softmax,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _layer_norm,
    "instance_norm": _eps,
    "group_norm": _eps,
    "cast": _cast,
    "permute": _permute,
    "reshape": _reshape,
    "embedding": _embedding,
    "flatten": _flatten,
    "squeeze": _dims,
    "unsqueeze": _dims,
    "split": _split,
    "slice": _slice,
    "gemm": _gemm,
    "dropout": _dropout,
}
_FAMILY_FORMS: dict[str, _Form] = {"reduce": _reduction}
