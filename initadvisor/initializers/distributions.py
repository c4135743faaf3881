"""The element-wise distributions that weights are drawn from: their moments, their draw, their code elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import erf, exp, pi, sqrt
from typing import ClassVar

import numpy as np

from initadvisor.errors import UsageError
from initadvisor.initializers.draws import Key, Region, draw_region, fill_normal, fill_uniform, truncated_fill
from initadvisor.initializers.draws.deviates import Array, Fill


@dataclass(frozen=True, slots=True)
class Constant:
    """Every element is `value`."""

    value: float
    kind: ClassVar[str] = "constant"

    @property
    def mean(self) -> float:
        """The mean of an element."""
        return self.value

    @property
    def std(self) -> float:
        """The standard deviation of an element."""
        return 0.0

    def draw(
        self, key: Key, shape: tuple[int, ...], out: Array, region: Region | None = None, threads: int | None = None
    ) -> None:
        """Write a region of the draw of that key and shape into `out`."""
        out[...] = self.value

    def describe(self) -> str:
        """The distribution in the field's notation."""
        return f"{self.value:.6g}"


class _Random(ABC):
    """What the three random distributions share; each says its deviate (`fill`) and what scales it."""

    __slots__ = ()
    mean: float

    @property
    @abstractmethod
    def scale(self) -> float: ...

    @property
    @abstractmethod
    def fill(self) -> Fill: ...

    def draw(
        self, key: Key, shape: tuple[int, ...], out: Array, region: Region | None = None, threads: int | None = None
    ) -> None:
        """Write a region of the draw of that key and shape into `out`."""
        draw_region(self.fill, self.scale, self.mean, key, shape, out, region, threads)


@dataclass(frozen=True, slots=True)
class Normal(_Random):
    """N(mean, std^2)."""

    std: float
    mean: float = 0.0
    kind: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        _check(self.std)

    @property
    def scale(self) -> float:
        """What a standard deviate is multiplied with."""
        return self.std

    @property
    def fill(self) -> Fill:
        """The deviate."""
        return fill_normal

    def describe(self) -> str:
        """The distribution in the field's notation."""
        return f"N({self.mean:.6g}, {self.std:.6g}^2)"


@dataclass(frozen=True, slots=True)
class Uniform(_Random):
    """U(mean - bound, mean + bound)."""

    bound: float
    mean: float = 0.0
    kind: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        _check(self.bound)

    @property
    def std(self) -> float:
        """The standard deviation of an element, bound / sqrt(3)."""
        return self.bound / sqrt(3.0)

    @property
    def scale(self) -> float:
        """What a deviate in (-1, 1) is multiplied with."""
        return self.bound

    @property
    def fill(self) -> Fill:
        """The deviate."""
        return fill_uniform

    def describe(self) -> str:
        """The distribution in the field's notation."""
        return f"U({self.mean - self.bound:.6g}, {self.mean + self.bound:.6g})"


@dataclass(frozen=True, slots=True)
class TruncatedNormal(_Random):
    """A normal cut at +-`cut` of its own standard deviations, of which `std` is what remains after the cut."""

    std: float
    mean: float = 0.0
    cut: float = 2.0
    kind: ClassVar[str] = "truncated_normal"

    def __post_init__(self) -> None:
        _check(self.std)
        if not 0.1 <= self.cut <= 5.0:
            raise UsageError(f"a normal cannot be cut at {self.cut} standard deviations", hint="0.1 to 5 are supported")

    @property
    def scale(self) -> float:
        """The standard deviation before the cut, sigma."""
        return self.std / truncated_std(self.cut)

    @property
    def bound(self) -> float:
        """The largest distance from the mean."""
        return self.cut * self.scale

    @property
    def fill(self) -> Fill:
        """The deviate."""
        return truncated_fill(self.cut)

    def describe(self) -> str:
        """The distribution in the field's notation."""
        return f"N({self.mean:.6g}, {self.scale:.6g}^2) cut at +-{self.cut:g} sigma (std {self.std:.6g})"


RandomDistribution = Normal | Uniform | TruncatedNormal
Distribution = Constant | RandomDistribution


def centred(family: str, std: float, cut: float = 2.0) -> Distribution:
    """The distribution of zero mean and that realised `std`; family: "normal", "uniform" or "truncated_normal"."""
    if std == 0.0:
        return Constant(0.0)
    if family == "normal":
        return Normal(std)
    if family == "uniform":
        return Uniform(std * sqrt(3.0))
    if family == "truncated_normal":
        return TruncatedNormal(std, cut=cut)
    raise UsageError(
        f"there is no distribution {family!r}", hint="the families are normal, uniform and truncated_normal"
    )


def truncated_std(cut: float) -> float:
    """The standard deviation that a unit normal keeps after a cut at +-cut: .8796 at 2, .9866 at 3."""
    density = exp(-0.5 * cut * cut) / sqrt(2.0 * pi)
    return sqrt(1.0 - 2.0 * cut * density / erf(cut / sqrt(2.0)))


def _check(scale: float) -> None:
    if not (np.isfinite(scale) and scale >= 0.0):
        raise UsageError(f"a distribution cannot have a standard deviation or bound of {scale}")
