"""The table of operators that both frontends share: one entry an operator, filled by `register`.

An entry says how the operator is spelled by each source, which input slot holds what, and what the analyses need:
whether it passes a signal through untouched, how its weight is laid out, how to evaluate it on numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from initadvisor.graph import Layout

LayoutOf = Callable[[tuple[int, ...], Mapping[str, Any]], Layout]
Evaluate = Callable[..., np.ndarray]


@dataclass(frozen=True, slots=True)
class Operator:
    """What is known of one canonical operator.

    name: canonical, lower case ("linear", "conv", "layer_norm").
    family: "weighted", "norm", "embedding", "recurrent", "attention", "activation", "elementwise", "reduce",
        "shape", "pool", "select", "compare", "create", "loss", "quantize", "random", "control" or "other".
    slots: names of the tensor inputs in order; a name that ends in "..." takes all the rest.
    transparent: the output holds the same numbers in another arrangement or cast, so that what consumes the output
        consumes the input (views, permutations, dropout, casts).
    layouts: for each slot that can hold a weight, how that weight is stored.
    evaluate: the operator on numpy arrays, `evaluate(*inputs, **attrs)`, for element-wise operators only.
    torch: torch spelling -> names of its positional parameters, slots and attributes mixed, as torch orders them.
        `a+b` is one argument, a tuple that fills the slots a and b; `a...` takes all the rest where a is the last
        name, else it is one argument that holds a sequence of tensors (or is itself spread by the caller).
    torch_keywords: torch keyword -> canonical name, where they differ; `KEYWORDS` holds those common to all.
    onnx: ONNX operator type ("domain::Type" unless standard) -> attribute renames, ONNX name to canonical.
    onnx_inputs: ONNX operator type -> names of its inputs as ONNX orders them, slots and attributes mixed (Reshape's
        second input is the attribute `shape`); the slots in order where absent. An input that names an attribute
        and is not a known constant stays reachable as one more input behind the slots.
    onnx_defaults: ONNX operator type -> canonical attributes that an absent ONNX attribute stands for, where the
        default differs from torch's.
    """

    name: str
    family: str
    slots: tuple[str, ...]
    transparent: bool = False
    layouts: Mapping[str, LayoutOf] = field(default_factory=dict)
    evaluate: Evaluate | None = None
    torch: Mapping[str, str] = field(default_factory=dict)
    torch_keywords: Mapping[str, str] = field(default_factory=dict)
    onnx: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    onnx_inputs: Mapping[str, str] = field(default_factory=dict)
    onnx_defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def slot(self, name: str) -> int:
        """The position of a slot; raises ValueError where there is none of that name."""
        return self.slots.index(name)


KEYWORDS = {"self": "input", "axis": "dim", "keepdims": "keepdim", "x1": "input", "x2": "other", "x": "input"}
"""Torch keyword -> canonical name, for every operator that has no keyword of that name itself."""

OPERATORS: dict[str, Operator] = {}
TORCH: dict[str, Operator] = {}
ONNX: dict[str, Operator] = {}


def register(name: str, family: str, slots: str, **entry: Any) -> Operator:
    """Add one operator to the table; `slots` is a space-separated list of input names.

    `torch` and `onnx` may be given as a space-separated string of spellings whose parameters are the slots alone.
    Raises ValueError where the name or a spelling is taken: two entries for one operator would drift apart.
    """
    names = tuple(slots.split())
    torch, onnx = entry.pop("torch", {}), entry.pop("onnx", {})
    if isinstance(torch, str):
        torch = dict.fromkeys(torch.split(), slots)
    if isinstance(onnx, str):
        onnx = {spelling: {} for spelling in onnx.split()}
    operator = Operator(name, family, names, torch=torch, onnx=onnx, **entry)
    for table, keys in ((OPERATORS, [name]), (TORCH, list(torch)), (ONNX, list(onnx))):
        for key in keys:
            if key in table:
                raise ValueError(f"operator {key!r} is registered twice")
            table[key] = operator
    return operator


def operator(name: str) -> Operator | None:
    """The entry of a canonical name, or None for an opaque operator."""
    return OPERATORS.get(name)
