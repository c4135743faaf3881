"""Operands of different shapes: common axes, statistics of a repeated operand, gradients summed back."""

from __future__ import annotations

from initadvisor.ops.moments.axes import Axes, Axis, Counts, count, size_of
from initadvisor.ops.moments.signal import Gradient, Signal


def common_axes(operands: list[Signal]) -> Axes:
    """The axes of the broadcast result; those of a free operand (parameter, constant) give way."""
    rank = max(len(s.axes) for s in operands)
    ordered = sorted(operands, key=lambda s: s.free)
    made: list[Axis] = []
    for place in range(-rank, 0):
        candidates = [s.axes[place] for s in ordered if len(s.axes) >= -place]
        made.append(max(candidates, key=size_of) if candidates else ())
    return tuple(made)


def repeated(s: Signal, axes: Axes) -> tuple[Signal, Counts]:
    """A signal as it looks along the axes of the result, and how often each element is repeated, by role."""
    rank = len(axes)
    own: list[Axis] = []
    missing: list[Axis] = []
    for place in range(-rank, 0):
        mine = s.axes[place] if len(s.axes) >= -place else ()
        if size_of(mine) == size_of(axes[place]):
            own.append(axes[place] if s.free else mine)
        else:
            own.append(())
            missing.append(axes[place])
    times = count(missing)
    if times.total == 1 and not s.free:
        return s, times
    return _spread(s, count(own), times, axes), times


def _spread(s: Signal, own: Counts, times: Counts, axes: Axes) -> Signal:
    features = _repeat(s.q, s.features, own.features, times.features)
    positions = _repeat(s.q, s.positions, own.positions, times.positions)
    samples = s.samples
    if times.samples > 1 and own.samples == 1:
        all_positions = own.positions * times.positions
        samples = (s.q + (all_positions - 1) * positions) / all_positions if all_positions > 1 else s.q
    return s.fresh(features=features, positions=positions, samples=samples, axes=axes, free=False)


def _repeat(q: float, pair: float, own: int, times: int) -> float:
    """The mean product of two different elements where `own` distinct ones are each repeated `times`."""
    if times == 1:
        return pair
    total = own * times
    same = (times - 1) / (total - 1)
    return same * q + (1.0 - same) * pair


def gather_back(gradient: Gradient, s: Signal, times: Counts) -> Gradient:
    """The gradient of a repeated operand: the sum over its repetitions."""
    if times.total == 1:
        return gradient
    block = gradient.block(times) * times.total**2
    # two elements that differ in a role: the pairs of their repetitions
    n = times.total
    kept = s.counts()
    positions = _between(gradient, times, gradient.positions) * n * n if kept.positions > 1 else 0.0
    samples = _between(gradient, times, gradient.samples) * n * n if kept.samples > 1 else 0.0
    features = _between(gradient, times, gradient.features) * n * n if kept.features > 1 else 0.0
    return Gradient(block, positions, samples, features)


def _between(gradient: Gradient, times: Counts, pair: float) -> float:
    """The mean product of elements of two blocks of repetitions that differ in one more role."""
    q = gradient.q
    if q <= 0:
        return 0.0
    inside = gradient.block(Counts(times.features, 1, 1)) / q
    return pair * inside if times.features > 1 else pair
