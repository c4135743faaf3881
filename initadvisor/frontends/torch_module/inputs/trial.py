"""One set of example inputs to try, and the tensors they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

NO_GUESS = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError)
"""What a guess may raise on a configuration or an error message that it was not made for: then it is no guess."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Arguments of one forward pass and what was assumed to make them.

    evaluation: run in evaluation mode because the training mode of the model wants more than inputs (targets).
    source: where the inputs come from: "example", "shapes", "torchvision", "timm", "transformers", "signature".
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    source: str = "signature"
    note: str = ""
    evaluation: bool = False

    def describe(self) -> str:
        """The assumption as a sentence."""
        parts = [describe(a) for a in self.args] + [f"{k}={describe(v)}" for k, v in self.kwargs.items()]
        mode = ", in evaluation mode" if self.evaluation else ""
        note = f" ({self.note})" if self.note else ""
        return f"inputs from {self.source}{note}: {', '.join(parts) or 'none'}{mode}"

    def with_kwargs(self, **kwargs: Any) -> Trial:
        """The same trial with more keyword arguments."""
        return replace(self, kwargs={**self.kwargs, **kwargs})


def floats(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A float input of a shape; it has no numbers, so that it costs nothing."""
    return torch.empty(shape, dtype=dtype, device="meta")


def tokens(*shape: int, high: int = 2, low: int = 0) -> torch.Tensor:
    """Integer inputs in [low, high): running numbers, so that neighbours differ."""
    count = 1
    for size in shape:
        count *= size
    return (torch.arange(count) % max(high - low, 1) + low).reshape(shape)


def describe(value: Any) -> str:
    """A value in a few words: types and shapes for tensors."""
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, list | tuple):
        inner = ", ".join(describe(v) for v in value[:4])
        return f"[{inner}{', ...' if len(value) > 4 else ''}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {describe(v)}" for k, v in value.items()) + "}"
    fields = getattr(value, "__dict__", None)
    if fields and not isinstance(value, type):
        inside = ", ".join(f"{k}={describe(v)}" for k, v in list(fields.items())[:8])
        return f"{type(value).__name__.lstrip('_')}({inside})"
    return repr(value) if isinstance(value, int | float | str | bool) or value is None else type(value).__name__
