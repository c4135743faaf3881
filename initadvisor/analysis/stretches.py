"""How a small difference between two inputs, and the gradient, fare over a stretch of layers without a norm.

With pre-activations of second moment q, a layer of gain g = rms(W) sqrt(fan_in) and activation f scales a small
difference between two inputs by sqrt(chi), chi = g^2 E[f'(sqrt(q) z)^2] (Schoenholz et al. 2016, arXiv 1611.01232),
and the gradient on its way back by the same factor. The gradient of one layer's weights carries the factors of all
others but not its own, so the layer that is best off has the product over the stretch divided by its smallest factor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from initadvisor.analysis.activation_shape import scalar_function
from initadvisor.graph import Activation
from initadvisor.ops.gains import Moments, moments

MAX_NAMES = 8
"""Layers before a concatenation that are kept by name."""

_RECTIFIERS = frozenset({"relu", "relu6", "squared_relu"})
"""Functions that are zero, with zero slope, for every negative input."""


@dataclass(frozen=True, slots=True)
class Link:
    """One layer of a stretch, in execution order.

    previous: the layers whose output comes in, with neither norm nor attention nor residual add between; empty where
    a stretch starts. gain: rms(W) sqrt(fan_in), None where unknown. bias: rms of the bias. default: whether the
    weights look like the framework's default draw. row_sums: mean square of the sums of the weight's rows over that of
    independent elements: at 0 the mean of what comes in, the same for every input, reaches no unit. units: output
    channels, None where unknown. lifted: whether biases start above zero on the average.
    """

    name: str
    previous: tuple[str, ...]
    gain: float | None
    activation: Activation | None
    bias: float = 0.0
    default: bool = False
    row_sums: float = 1.0
    units: int | None = None
    lifted: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch as it stands behind one of its layers.

    depth: layers so far, this one included. log_signal: log of the factor on small differences, so far.
    log_weakest: log of its smallest factor. second: second moment of the output. defaults: layers that keep the
    default draw. ends: whether no further layer of the stretch follows. mean: mean of the output. log_alive: log of the
    probability that no rectifier layer so far, the first left out, is born dead.
    """

    start: str
    depth: int
    log_signal: float
    log_weakest: float
    second: float
    defaults: int
    ends: bool = True
    mean: float = 0.0
    log_alive: float = 0.0

    @property
    def born_dead(self) -> float:
        """The probability that some rectifier layer has no active unit for an input: 1 - prod(1 - 2^-n).

        Units of symmetric weights and no bias are on for an input with probability 1/2, independently. The first layer
        is left out: inputs of all directions reach it, so that one of them wakes it. Lu et al. 2019, arXiv 1903.06733.
        """
        return -math.expm1(self.log_alive)

    @property
    def signal(self) -> float:
        """The factor on small differences between inputs."""
        return _exp(self.log_signal)

    @property
    def gradient(self) -> float:
        """The factor on the weight gradient of the layer that is best off."""
        return _exp(self.log_signal - self.log_weakest)

    @property
    def default_share(self) -> float:
        """The share of its layers that keep the default draw."""
        return self.defaults / self.depth


def stretches(links: Iterable[Link]) -> dict[str, Stretch]:
    """The stretch behind each layer; one whose gain or activation is unknown, or zero, has none and starts anew."""
    found: dict[str, Stretch] = {}
    for link in links:
        before = [found[name] for name in link.previous[:MAX_NAMES] if name in found]
        if before and len(before) < len(link.previous[:MAX_NAMES]):
            before = []  # part of what comes in is unknown
        stretch = _through(link, _joined(before))
        if stretch is None:
            continue
        found[link.name] = stretch
        for name in link.previous if before else ():
            if name in found:
                found[name] = replace(found[name], ends=False)
    return found


def _joined(before: Sequence[Stretch]) -> Stretch | None:
    """What a layer sees behind several: the mean over the concatenated channels."""
    if len(before) < 2:
        return before[0] if before else None
    largest = max(before, key=lambda s: s.log_signal)
    top = largest.log_signal
    mean_square = sum(math.exp(2.0 * max(s.log_signal - top, -300.0)) for s in before) / len(before)
    return replace(
        largest,
        log_signal=top + 0.5 * math.log(mean_square),
        second=sum(s.second for s in before) / len(before),
        depth=max(s.depth for s in before),
        defaults=max(s.defaults for s in before),
    )


def _through(link: Link, before: Stretch | None) -> Stretch | None:
    if link.gain is None or link.gain <= 0.0 or not math.isfinite(link.gain) or link.activation is None:
        return None
    second = 1.0 if before is None else before.second - (1.0 - min(link.row_sums, 1.0)) * before.mean**2
    reached = link.gain**2 * second + link.bias**2
    after = activation_moments(link.activation, reached)
    if after is None:
        return None
    second, slope = after
    mean = activation_mean(link.activation, reached)
    if slope <= 0.0:
        return None
    log_factor = math.log(link.gain) + 0.5 * math.log(slope)
    if before is None:
        return Stretch(link.name, 1, log_factor, log_factor, second, int(link.default), mean=mean)
    return Stretch(
        before.start,
        before.depth + 1,
        before.log_signal + log_factor,
        min(before.log_weakest, log_factor),
        second,
        before.defaults + int(link.default),
        mean=mean,
        log_alive=before.log_alive + _log_alive(link),
    )


def _log_alive(link: Link) -> float:
    assert link.activation is not None
    if link.activation.name not in _RECTIFIERS or link.lifted or not link.units:
        return 0.0
    return math.log1p(-(2.0 ** -min(link.units, 1000)))


def activation_moments(activation: Activation, second: float) -> tuple[float, float] | None:
    """(E[f^2], E[f'^2]) for a Gaussian pre-activation of a given second moment; None where f is unknown."""
    if not 0.0 <= second < math.inf:
        return None
    if scalar_function(activation) is None:
        if activation.second_moment is None or activation.slope_moment is None:
            return None
        return activation.second_moment * second, activation.slope_moment  # as if homogeneous
    # Three digits of log q are far below what a verdict needs and let layers of one kind share the integral.
    found = _moments(activation.name, activation.params, _exponent(second))
    return found.second, found.slope


def activation_mean(activation: Activation, second: float) -> float:
    """E[f] for a Gaussian pre-activation of a given second moment; 0 where f is unknown."""
    if scalar_function(activation) is None or not 0.0 <= second < math.inf:
        return 0.0
    return _moments(activation.name, activation.params, _exponent(second)).mean


def _exponent(second: float) -> float:
    return round(math.log(min(max(second, 1e-30), 1e30)), 3)


@lru_cache(maxsize=65536)
def _moments(name: str, params: tuple[tuple[str, float], ...], log_second: float) -> Moments:
    function = scalar_function(Activation(name, params))
    assert function is not None
    return moments(function, math.exp(log_second))


def residual_growth(branches: Sequence[Sequence[Link]]) -> tuple[float, int]:
    """(factor on the rms of a residual stream without norms, number of blocks).

    Each element holds the layers of one branch in order. A block adds the second moment of its branch to that of the
    stream: 1 + prod(chi) of the branch, with chi of each layer at the second moment that reaches it.
    """
    log_growth, second, blocks = 0.0, 1.0, 0
    for branch in branches:
        factor, inside = 1.0, second
        for link in branch:
            if link.gain is None or link.activation is None:
                return math.nan, 0
            after = activation_moments(link.activation, link.gain**2 * inside + link.bias**2)
            if after is None:
                return math.nan, 0
            inside = after[0]
            factor *= link.gain**2 * after[1]
        second = min(second + inside, 1e30)
        log_growth += 0.5 * math.log1p(factor)
        blocks += 1
    return _exp(log_growth), blocks


def _exp(x: float) -> float:
    return math.exp(x) if x < 700.0 else math.inf
