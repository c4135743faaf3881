"""What a rule is: input shapes and canonical attributes in, the shapes of the outputs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from initadvisor.graph import Shape

Shapes = Sequence[Shape | None]
Attrs = Mapping[str, Any]
Rule = Callable[[Shapes, Attrs], Shape | None]
ManyRule = Callable[[Shapes, Attrs, int], Sequence[Shape | None]]
