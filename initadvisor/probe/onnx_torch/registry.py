"""The torch implementations of ONNX operators whose meaning depends on the raw node, by domain and type.

Element-wise operators and activations have no entry here: the shared operator table knows their torch spelling, see
`tabled`. An implementation takes the call and the node's inputs in ONNX's order, None for an absent one, and gives
one output or a tuple of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from initadvisor.probe.onnx_torch.limits import Budget

Implementation = Callable[..., Any]

IMPLEMENTATIONS: dict[str, Implementation] = {}


class Call:
    """One node as its implementation sees it.

    spelling: "Type", or "domain::Type" outside the standard; opset: the version of its operator set; attrs: its
    attributes as Python values, tensors as torch's, graphs as runnable bodies; outputs: how many outputs are named;
    wanted: for each of them whether something may read it; training: whether the module is in training mode;
    codes: whether quantized codes are carried as floats, so that a gradient can pass; code_type: the stored
    type of the input that says which type the node makes, since codes below a byte are held in bytes.
    """

    __slots__ = (
        "attrs",
        "budget",
        "captured",
        "code_type",
        "codes",
        "inputs",
        "name",
        "opset",
        "spelling",
        "training",
        "wanted",
    )

    def __init__(
        self,
        spelling: str,
        opset: int,
        name: str,
        attrs: dict[str, Any],
        wanted: Sequence[bool],
        budget: Budget,
        inputs: int = 0,
        captured: Sequence[str] = (),
    ) -> None:
        self.spelling = spelling
        self.opset = opset
        self.name = name
        self.attrs = attrs
        self.wanted = tuple(wanted)
        self.budget = budget
        self.inputs = inputs
        self.captured = tuple(captured)
        self.training = False
        self.codes = False
        self.code_type = ""

    @property
    def outputs(self) -> int:
        """How many outputs the node names."""
        return len(self.wanted)

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attrs.get(name, default)

    def allow(self, shape: Sequence[int], itemsize: int = 4) -> None:
        """Raise LimitError where a tensor of this shape must not be made."""
        self.budget.allow(shape, itemsize)


def implements(*spellings: str) -> Callable[[Implementation], Implementation]:
    """Register the implementation of operators; raises ValueError where one is there already."""

    def add(function: Implementation) -> Implementation:
        for spelling in spellings:
            if spelling in IMPLEMENTATIONS:
                raise ValueError(f"operator {spelling!r} is implemented twice")
            IMPLEMENTATIONS[spelling] = function
        return function

    return add


def numbers(tensor: Any) -> list[Any]:
    """The elements of a small tensor that says how to compute (a shape, axes, a ratio)."""
    return list(tensor.reshape(-1).tolist())


def number(tensor: Any, default: Any = None) -> Any:
    """The one element of a tensor, or the default where the input is absent."""
    return default if tensor is None else tensor.reshape(-1)[0].item()


def given(call: Call, name: str, tensor: Any) -> list[int] | None:
    """A list that older operator sets have as an attribute and newer ones as an input."""
    if tensor is not None:
        return [int(n) for n in numbers(tensor)]
    value = call.attr(name)
    return None if value is None else [int(n) for n in value]
