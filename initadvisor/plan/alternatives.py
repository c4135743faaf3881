"""Changes to a model beside a new draw of its weights, each with what is predicted of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is predicted of a model before it is trained; None where it is not known.

    risk: that training fails. depth_scales: depth over the depth scale of the gradient. forward: the part of the
    signal that tells two inputs apart, what the head reads over the first layer's output. gradient: norm at the first
    layer's output over what the head reads; of a model with norms both are shares, which no scale of a weight changes.
    """

    risk: float | None = None
    depth_scales: float | None = None
    forward: float | None = None
    gradient: float | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """A change in words, and the outlook once it is made. kind: "draw", "activation" or "norm".

    detail: the activation, where it is another one.
    """

    kind: str
    change: str
    outlook: Outlook
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """The alternative as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Alternative:
        """Read what `to_json` wrote."""
        return cls(
            str(data["kind"]), str(data["change"]), Outlook(**data.get("outlook", {})), str(data.get("detail", ""))
        )
