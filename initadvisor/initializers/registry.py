"""The table of initialization methods, filled by three decorators: a new method is one file that uses one of them.

- `distribution_method`: every element is drawn alone. The function returns a `Distribution` from shape and layout.
- `matrix_method`: each group's (out, in, kernel) array is drawn as a whole. The function returns it in float64.
- `array_method`: the stored tensor is drawn as a whole. The function returns it in float64.

The last two are plain numpy functions of a generator and plain numbers that call nothing of this package but the
functions named in `needs`: their own source text is what `InitSpec.code` emits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from initadvisor.errors import UsageError
from initadvisor.initializers.draws.deviates import Array

Kind = Literal["distribution", "matrix", "array", "blocks"]
Native = Callable[..., str | None]


@dataclass(frozen=True, slots=True)
class Method:
    """One initialization method.

    function: takes (shape, layout) if `kind` is "distribution", (rng, out, in, kernel) if "matrix", (rng, shape) if
        "array", then its parameters by keyword.
    std: the root mean square of an element, from the arguments of `function` without `rng`; None: it is measured.
    needs: functions whose source `function` calls.
    native: framework -> text that uses the framework's own initializer, from (out, in, kernel) and the parameters, or
        None where it has none for them.
    """

    name: str
    kind: Kind
    function: Callable[..., Any]
    parameters: Mapping[str, inspect.Parameter]
    std: Callable[..., float] | None = None
    needs: tuple[Callable[..., Any], ...] = ()
    native: Mapping[str, Native] = field(default_factory=dict)

    @property
    def doc(self) -> str:
        """The method's page: formula, use, caveat and source."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """One sentence."""
        return self.doc.partition("\n\n")[0].replace("\n", " ")

    @property
    def source(self) -> str:
        """Where the method was published."""
        lines = [line for line in self.doc.replace("\n    ", " ").splitlines() if line.startswith("Source:")]
        return lines[0].removeprefix("Source:").strip() if lines else ""

    def check(self, params: Mapping[str, Any]) -> None:
        """Raise UsageError for a parameter that the method does not have, or one that it needs and did not get."""
        for name in params:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise UsageError(f"initializer {self.name!r} has no parameter {name!r}", hint=f"it has {known}")
        for name, parameter in self.parameters.items():
            if parameter.default is inspect.Parameter.empty and name not in params:
                raise UsageError(f"initializer {self.name!r} needs the parameter {name!r}")


METHODS: dict[str, Method] = {}

ALIASES = {
    **{f"he_{family}": f"kaiming_{family}" for family in ("normal", "uniform", "truncated_normal")},
    **{f"glorot_{family}": f"xavier_{family}" for family in ("normal", "uniform", "truncated_normal")},
    "dirac": "identity",
    "eye": "identity",
    "irnn": "identity",
    "eoi": "sparse_orthogonal",
    "trunc_normal": "truncated_normal",
}
"""Other names of the field for a method; a spec keeps the name of the table."""


def _register(kind: Kind, name: str, leading: int, function: Callable[..., Any], **extra: Any) -> None:
    if name in METHODS:
        raise ValueError(f"initializer {name!r} is registered twice")
    parameters = dict(list(inspect.signature(function).parameters.items())[leading:])
    METHODS[name] = Method(name, kind, function, parameters, **extra)


F = TypeVar("F", bound=Callable[..., Any])


def distribution_method(name: str) -> Callable[[F], F]:
    """Register a function (shape, layout, **parameters) -> Distribution."""

    def add(function: F) -> F:
        _register("distribution", name, 2, function)
        return function

    return add


def matrix_method(
    name: str,
    *,
    std: Callable[..., float] | None = None,
    needs: tuple[Callable[..., Any], ...] = (),
    native: Mapping[str, Native] | None = None,
) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Register a function (rng, out, in, kernel, **parameters) -> (out, in, *kernel) array."""

    def add(function: Callable[..., Array]) -> Callable[..., Array]:
        _register("matrix", name, 4, function, std=std, needs=needs, native=native or {})
        return function

    return add


def array_method(
    name: str, *, std: Callable[..., float] | None = None, needs: tuple[Callable[..., Any], ...] = ()
) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Register a function (rng, shape, **parameters) -> array of that shape."""

    def add(function: Callable[..., Array]) -> Callable[..., Array]:
        _register("array", name, 2, function, std=std, needs=needs)
        return function

    return add


def blocks_method(name: str) -> Callable[[F], F]:
    """Register a function of parameters alone, for a tensor whose parts have specs of their own (`InitSpec.parts`)."""

    def add(function: F) -> F:
        _register("blocks", name, 0, function)
        return function

    return add


def method(name: str) -> Method:
    """The entry of a name or alias; raises UsageError with near names where there is none."""
    if (own := ALIASES.get(name, name)) in METHODS:
        return METHODS[own]
    from difflib import get_close_matches

    near = get_close_matches(name, [*METHODS, *ALIASES], n=3) or sorted(METHODS)
    raise UsageError(f"there is no initializer {name!r}", hint=f"did you mean {', '.join(near)}?")
