"""What the user decides: globs over names, each with an initializer or "keep"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from initadvisor.errors import ConfigError, UsageError
from initadvisor.initializers import InitSpec

_FOR_VECTORS = frozenset({"constant", "zeros", "ones", "normal", "uniform", "truncated_normal", "focal_prior"})
"""Element-wise methods that mean something for a bias or a norm's scale, which have no fan."""


@dataclass(frozen=True, slots=True)
class Override:
    """A glob over parameter or layer names and what to do with what it matches; spec None keeps it as it is.

    why: what a plan says of it, where that is more than that somebody asked.

    A layer's name stands for its weight, and for its bias too where the parameter is kept or set to a constant.
    Methods that need a matrix pass by biases and scales, so that "encoder.*" may name one.
    """

    pattern: str
    spec: InitSpec | None
    why: str = ""

    def matches(self, parameter: str, shape: tuple[int, ...], layer: str, is_weight: bool) -> bool:
        """Whether the override is about a parameter of that name and shape, which belongs to that layer."""
        if fnmatchcase(parameter, self.pattern):
            return self.spec is None or len(shape) > 1 or self._for_vectors
        if not layer or not fnmatchcase(layer, self.pattern):
            return False
        if is_weight:
            return self.spec is None or len(shape) > 1 or self._for_vectors
        return self.spec is None or self.spec.method in ("constant", "zeros", "ones")

    @property
    def _for_vectors(self) -> bool:
        spec = self.spec
        return spec is not None and (spec.method in _FOR_VECTORS or spec.entry.kind in ("array", "blocks"))


def overrides(table: Mapping[str, Any]) -> tuple[Override, ...]:
    """Read {"head.*": {"method": "zeros"}, "backbone.*": "keep"}; later entries win.

    Raises ConfigError where an entry names no initializer.
    """
    found = []
    for pattern, value in table.items():
        if value == "keep" or value == {"method": "keep"}:
            found.append(Override(pattern, None))
            continue
        try:
            found.append(Override(pattern, InitSpec.from_json(value)))
        except UsageError as error:
            raise ConfigError(f'policy "{pattern}": {error.message}', hint=error.hint) from error
    return tuple(found)


def decide(
    found: Iterable[Override], parameter: str, shape: tuple[int, ...], layer: str, is_weight: bool
) -> Override | None:
    """The last override that is about a parameter."""
    decided = None
    for override in found:
        if override.matches(parameter, shape, layer, is_weight):
            decided = override
    return decided
