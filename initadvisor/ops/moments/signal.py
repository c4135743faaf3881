"""What is known of a tensor that flows forward (`Signal`) or back (`Gradient`): second-order statistics.

Elements are exchangeable within a role, so that a tensor is described by its mean, its second moment and the mean
product of two elements that differ in the feature, in the position of one sample, or in the sample. Float64 scalars
throughout: a handler costs microseconds whatever the size of the tensor.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from initadvisor.ops.gains import ScalarFunction
from initadvisor.ops.moments.axes import Axes, Counts, count
from initadvisor.ops.moments.places import Profile, mixed


@dataclass(slots=True, eq=False)
class Signal:
    """Forward statistics of a value.

    mean: E[x]. q: E[x^2]. features, positions, samples: E[x x'] for two elements that differ in the feature only, in
    the position (same sample and feature), in the sample (same feature, any position).
    axes: the roles of the axes. free: True for a parameter or constant, whose axes take the roles of what it meets.
    base, function: set where x is `function` of another value, element by element: x = function(base).
    law: (root, function) with the distribution of x where it is known but x is not an element-wise function of one
    value (a concatenation of ReLU outputs). parts: share and signal of each input of a concatenation of features,
    for a norm that treats each feature by itself.
    atoms: points and weights of the part of x that is not Gaussian; the rest of the variance is (a residual stream
    behind a ReLU).
    visible: the share of logits that a mask lets through. table: True for numbers that come from sizes alone (a mask,
    an index table): added or multiplied they count as nothing.
    distinct: True for numbers that are all different (positions to look up).
    places: relative second moment along the last axes, where borders have less.
    sources: how x depends on independent unit-variance sources, for covariances between values.
    """

    mean: float
    q: float
    features: float
    positions: float
    samples: float
    axes: Axes
    free: bool = False
    base: Signal | None = None
    function: ScalarFunction | None = None
    law: tuple[Signal, ScalarFunction] | None = None
    parts: tuple[tuple[float, Signal], ...] = ()
    sources: dict[int, float] = field(default_factory=dict)
    value_id: int = -1
    visible: float = 1.0
    constant: float | None = None
    atoms: tuple[np.ndarray, np.ndarray] | None = None
    table: bool = False
    distinct: bool = False
    places: Profile = ()

    @property
    def variance(self) -> float:
        """Variance over all elements."""
        return max(self.q - self.mean * self.mean, 0.0)

    def cross(self, first: float, second: float) -> float:
        """The mean product of elements that differ in two roles, from those that differ in one each."""
        variance = self.variance
        if variance <= 1e-12 * self.q:
            return self.mean * self.mean
        square = self.mean * self.mean
        return square + (first - square) * (second - square) / variance

    def block(self, n: Counts) -> float:
        """The second moment of the mean over a block of n.features x n.positions x n.samples elements."""
        return block_moment(self.q, self.features, self.positions, self.samples, self.mean, n)

    def counts(self) -> Counts:
        """How many elements there are in each role."""
        return count(self.axes)

    def scaled(self, factor: float, square: float | None = None) -> Signal:
        """The signal times an independent factor of the given mean (and second moment)."""
        s = factor * factor if square is None else square
        return self.fresh(
            mean=self.mean * factor,
            q=self.q * s,
            features=self.features * s,
            positions=self.positions * s,
            samples=self.samples * s,
            sources={key: value * factor for key, value in self.sources.items()},
            places=self.places,
        )

    def fresh(self, **changes: Any) -> Signal:
        """A copy with changes, as a value of its own: no longer a function of another one."""
        plain: dict[str, Any] = {
            "base": None,
            "function": None,
            "law": None,
            "parts": (),
            "constant": None,
            "atoms": None,
            "places": (),
        }
        return replace(self, value_id=-1, **(plain | changes))


def block_moment(q: float, features: float, positions: float, samples: float, mean: float, n: Counts) -> float:
    """E[(mean of a block)^2] from the mean products of its pairs."""
    square = mean * mean
    variance = max(q - square, 0.0)
    if variance <= 1e-12 * abs(q):
        return q if n.total == 1 else square
    across = (features - square) / variance  # share that two features have in common
    one = q + (n.features - 1) * features
    other_position = positions + (n.features - 1) * (square + across * (positions - square))
    other_sample = samples + (n.features - 1) * (square + across * (samples - square))
    total = one + (n.positions - 1) * other_position + (n.samples - 1) * n.positions * other_sample
    return total / n.total


@dataclass(slots=True, eq=False)
class Gradient:
    """Backward statistics of a value: the gradient of the loss by its elements, of mean zero.

    q: E[d^2]; features, positions, samples: E[d d'] as for `Signal`. radial_positions and radial_samples: the same
    for d times the standardised value, which a batch norm in front projects out. picked: the share of the
    gradient that comes through a max pooling, and E[f'^2] and E[z f']^2 over the elements that it picked, for the
    activation in front. parts: the gradient of each part of a concatenation. profile: points x and
    E[d^2 | value = x] / q where the size of the gradient depends on the value (a ReLU behind a
    residual sum lets more through where the stream is large). places: relative size along the last axes.
    """

    q: float
    positions: float = 0.0
    samples: float = 0.0
    features: float = 0.0
    radial_positions: float = 0.0
    radial_samples: float = 0.0
    picked: tuple[float, float, float] | None = None
    parts: tuple[Gradient, ...] = ()
    profile: tuple[np.ndarray, np.ndarray] | None = None
    places: Profile = ()

    def block(self, n: Counts) -> float:
        """The second moment of the mean over a block."""
        return block_moment(self.q, self.features, self.positions, self.samples, 0.0, n)

    def scaled(self, square: float) -> Gradient:
        """Times an independent factor of the given second moment."""
        return Gradient(
            self.q * square,
            self.positions * square,
            self.samples * square,
            self.features * square,
            self.radial_positions * square,
            self.radial_samples * square,
            picked=self.picked,
            profile=self.profile,
            parts=tuple(part.scaled(square) for part in self.parts),
            places=self.places,
        )

    def plus(self, other: Gradient) -> Gradient:
        """The sum of two gradients that come by independent ways."""
        return Gradient(
            self.q + other.q,
            self.positions + other.positions,
            self.samples + other.samples,
            self.features + other.features,
            self.radial_positions + other.radial_positions,
            self.radial_samples + other.radial_samples,
            picked=self._picked_plus(other),
            profile=self._profile_plus(other),
            parts=self._parts_plus(other),
            places=mixed(self.places, other.places, self.q / max(self.q + other.q, 1e-300)),
        )

    def _profile_plus(self, other: Gradient) -> tuple[np.ndarray, np.ndarray] | None:
        points = next((g.profile[0] for g in (self, other) if g.profile is not None), None)
        whole = self.q + other.q
        if points is None or whole <= 0.0:
            return None
        mixed = sum(g.q / whole * g.relative(points) for g in (self, other))
        return points, np.asarray(mixed)

    def relative(self, points: np.ndarray) -> np.ndarray:
        """E[d^2 | value] / q at some points of the value."""
        return np.ones_like(points) if self.profile is None else np.interp(points, *self.profile)

    def _picked_plus(self, other: Gradient) -> tuple[float, float, float] | None:
        weights = [g.q * g.picked[0] if g.picked is not None else 0.0 for g in (self, other)]
        total, picked = sum(weights), self.q + other.q
        if total <= 0.0 or picked <= 0.0:
            return None
        slope, radial = (
            sum(w * g.picked[place] for w, g in zip(weights, (self, other), strict=True) if g.picked is not None)
            / total
            for place in (1, 2)
        )
        return total / picked, slope, radial

    def _parts_plus(self, other: Gradient) -> tuple[Gradient, ...]:
        count = max(len(self.parts), len(other.parts))
        first = self.parts if len(self.parts) == count else (self.whole(),) * count
        second = other.parts if len(other.parts) == count else (other.whole(),) * count
        return tuple(a.plus(b) for a, b in zip(first, second, strict=True))

    def whole(self) -> Gradient:
        """The statistics alone, without what only a norm in front can use."""
        return Gradient(self.q, self.positions, self.samples, self.features, picked=self.picked, places=self.places)


def constant_signal(value: float, axes: Axes = ()) -> Signal:
    """A signal that is one number everywhere."""
    square = value * value
    return Signal(value, square, square, square, square, axes, free=True, constant=value)


def table_signal(axes: Axes, visible: float = 1.0, *, distinct: bool = False) -> Signal:
    """Numbers that no input and no weight flows into."""
    return Signal(0.0, 0.0, 0.0, 0.0, 0.0, axes, free=True, visible=visible, table=True, distinct=distinct)


def independent(mean: float, q: float, axes: Axes, *, free: bool = False) -> Signal:
    """A signal of independent elements."""
    square = mean * mean
    return Signal(mean, q, square, square, square, axes, free=free)
