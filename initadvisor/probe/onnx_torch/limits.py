"""What a graph may allocate and how long it may loop: the file that asks for it is not trusted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from initadvisor.errors import LimitError


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What one forward pass of an ONNX graph may take.

    tensor_bytes: the largest tensor that an operator may make, in bytes.
    trips: iterations of all Loop and Scan nodes of one pass together.
    """

    tensor_bytes: int = 4 << 30
    trips: int = 100_000


@dataclass(slots=True)
class Budget:
    """What is left in one forward pass; shared by all nodes of a module."""

    limits: RunLimits = field(default_factory=RunLimits)
    trips: int = 0

    def start(self) -> None:
        """Begin a pass."""
        self.trips = 0

    def trip(self) -> None:
        """Count one iteration; raises LimitError above the limit."""
        self.trips += 1
        if self.trips > self.limits.trips:
            raise LimitError(
                f"the graph loops more than {self.limits.trips:,} times in one pass",
                hint="raise RunLimits.trips if that is meant",
            )

    def allow(self, shape: Iterable[int], itemsize: int = 4) -> None:
        """Raise LimitError where a tensor of this shape is larger than allowed, before it is made."""
        sizes = tuple(shape)
        needed = prod(sizes) * itemsize
        if needed > self.limits.tensor_bytes:
            dims = ", ".join(f"{size:,}" for size in sizes[:8]) + (", ..." if len(sizes) > 8 else "")
            raise LimitError(
                f"an operator asks for a tensor of shape [{dims}], {needed:,} bytes; at most "
                f"{self.limits.tensor_bytes:,} are allowed",
                hint="raise RunLimits.tensor_bytes if that is meant",
            )

    def broadcast(self, *tensors: Any) -> None:
        """As `allow`, for the common shape that tensors are broadcast to."""
        first = tensors[0].shape
        if all(tensor.shape == first for tensor in tensors[1:]):
            return
        rank = max(tensor.dim() for tensor in tensors)
        sizes = [1] * rank
        for tensor in tensors:
            for at, size in enumerate(tensor.shape, rank - tensor.dim()):
                if size != 1:
                    sizes[at] = size
        self.allow(sizes, max(tensor.element_size() for tensor in tensors))
