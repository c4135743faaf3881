"""From a torch callable to its entry in the operator table, found once per callable.

A callable has several spellings (`torch.relu`, `torch.Tensor.relu_`, `torch.ops.aten.relu.default` ...); the first
that the table knows decides the operator and the order of its positional parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

from initadvisor.ops import OPERATORS, TORCH, Operator

_INPLACE_DUNDERS = frozenset(
    f"__i{name}__"
    for name in (
        "add",
        "sub",
        "mul",
        "div",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
    )
)
_PREFIXES = {
    "torch": ("torch.", "torch.nn.functional.", "torch.Tensor."),
    "torch.Tensor": ("torch.Tensor.", "torch.", "torch.nn.functional."),
    "torch.nn.functional": ("torch.nn.functional.", "torch.", "torch._C._nn."),
    "torch._C._nn": ("torch._C._nn.", "torch.nn.functional.", "torch."),
    "torch.functional": ("torch.functional.", "torch."),
}
_NAMESPACES = {
    "torch._C._linalg": "linalg",
    "torch._C._special": "special",
    "torch._C._fft": "fft",
    "torch._C._sparse": "sparse",
}


@dataclass(frozen=True, slots=True)
class Spelling:
    """What a torch callable is: its native name, its table entry, how its arguments are named.

    parameters: names of the positional arguments as the table orders them, or None for an unknown callable.
    python: names of the positional arguments as the Python function itself declares them.
    inplace: the first argument is written and returned.
    descend: a Python function that the table does not know, whose body is to be recorded instead of the call.
    written: positions of the arguments that an operator unknown to the table declares to write.
    """

    native: str
    name: str
    operator: Operator | None
    parameters: tuple[str, ...] | None
    python: tuple[str, ...]
    inplace: bool
    descend: bool
    written: tuple[int, ...] = ()


def spelling(func: Any) -> Spelling:
    """Describe a callable that arrived at `__torch_function__`."""
    owner, name = _owner(func)
    inplace = name in _INPLACE_DUNDERS or (name.endswith("_") and not name.endswith("__")) or name == "__setitem__"
    native = f"{owner}.{name}"
    python = _declared(func)
    for candidate in _candidates(owner, name, inplace):
        entry = TORCH.get(candidate)
        if entry is not None:
            parameters = tuple(entry.torch[candidate].split())
            return Spelling(native, name, entry, parameters, python, inplace, False)
    descend = isinstance(func, FunctionType) and owner in ("torch.nn.functional", "torch.functional", "torch.Tensor")
    return Spelling(native, name, None, None, python, inplace, descend, _written(func))


def variant(call: Spelling, args: Sequence[Any]) -> Spelling:
    """The entry of a call whose arguments decide: packed recurrent layers, aten's one convolution for both kinds."""
    if call.name in _RECURRENT and len(args) > 2 and not isinstance(args[2], tuple | list):
        return _packed(call)
    if call.name == "lstm" and len(args) > 1 and not isinstance(args[1], tuple | list):
        return _packed(call)
    if call.name in ("convolution", "_convolution") and len(args) > 6:
        entry = OPERATORS["conv_transpose" if args[6] else "conv"]
        names = ("input", "weight", "bias", "stride", "padding", "dilation", "transposed", "output_padding", "groups")
        return replace(call, operator=entry, parameters=names)
    return call


_RECURRENT = frozenset({"gru", "rnn_tanh", "rnn_relu"})


def _packed(call: Spelling) -> Spelling:
    entry = TORCH[f"torch.{call.name}:packed"]
    return replace(call, operator=entry, parameters=tuple(entry.torch[f"torch.{call.name}:packed"].split()))


def _owner(func: Any) -> tuple[str, str]:
    """The namespace that a callable belongs to, and its name there."""
    name = getattr(func, "__name__", None) or type(func).__name__
    kind = type(func).__name__
    if kind == "method-wrapper":  # an attribute of a tensor: Tensor.T.__get__
        return "torch.Tensor", f"{getattr(func.__self__, '__name__', '?')}.{name}"
    if kind in ("OpOverload", "OpOverloadPacket"):
        packet = getattr(func, "_overloadpacket", func)
        namespace, _, short = packet._qualified_op_name.partition("::")
        return ("aten" if namespace == "aten" else namespace), short
    module = getattr(func, "__module__", None) or ""
    qualified = getattr(func, "__qualname__", "") or ""
    if module in _NAMESPACES:
        prefix = _NAMESPACES[module]
        return f"torch.{prefix}", name.removeprefix(f"{prefix}_")
    if qualified.startswith(("TensorBase.", "Tensor.")) or getattr(func, "__objclass__", None) is not None:
        return "torch.Tensor", name
    if qualified.startswith("_VariableFunctionsClass."):
        return "torch", name
    return module or "torch", name


def _candidates(owner: str, name: str, inplace: bool) -> Iterator[str]:
    names = [name]
    if owner == "torch.sparse":
        owner, names = "torch", [name.removeprefix("_sparse_").removeprefix("sparse_")]
    if inplace and not name.startswith("__"):
        names.append(name.removesuffix("_"))
    elif name in _INPLACE_DUNDERS:
        names.append(f"__{name[3:]}")
    if owner == "aten":
        names = [short for n in names for short in (n, _ATEN.get(n, n))]
        prefixes: tuple[str, ...] = ("torch.ops.aten.", *_PREFIXES["torch"], "torch._C._nn.", "torch.functional.")
        prefixes += tuple(f"torch.{n}." for n in ("linalg", "special", "fft"))
        names += [n.split("_", 1)[1] for n in names if n.startswith(("linalg_", "special_", "fft_"))]
    else:
        prefixes = _PREFIXES.get(owner, (f"{owner}.",))
    for prefix in prefixes:
        for short in names:
            yield f"{prefix}{short}"


_ATEN = {
    "_softmax": "softmax",
    "_log_softmax": "log_softmax",
    "_unsafe_view": "reshape",
    "_to_copy": "to",
    "_native_batch_norm_legit": "native_batch_norm",
    "_native_batch_norm_legit_functional": "native_batch_norm",
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
    "_scaled_dot_product_flash_attention_for_cpu": "scaled_dot_product_attention",
    "_scaled_dot_product_attention_math": "scaled_dot_product_attention",
    "alias": "detach",
}
"""Internal aten operators -> the public one that means the same."""


def _written(func: Any) -> tuple[int, ...]:
    schema = getattr(func, "_schema", None) or getattr(getattr(func, "default", None), "_schema", None)
    arguments = schema.arguments if schema is not None else ()
    return tuple(i for i, a in enumerate(arguments) if a.alias_info is not None and a.alias_info.is_write)


def _declared(func: Any) -> tuple[str, ...]:
    if not isinstance(func, FunctionType):
        schema = getattr(func, "_schema", None)
        return tuple(argument.name for argument in schema.arguments) if schema is not None else ()
    try:
        return tuple(inspect.signature(func).parameters)
    except (TypeError, ValueError):
        return ()
