"""One operator at a time: its handlers on signals of given statistics."""

from __future__ import annotations

from typing import Any

from initadvisor.ops.moments import BACKWARD, FORWARD, Call, Gradient, Signal
from initadvisor.ops.moments.axes import FEATURES, POSITIONS, SAMPLES, Axes, axis, plain, shape_of
from initadvisor.ops.moments.signal import independent

IMAGES: Axes = (axis(SAMPLES, 8), axis(FEATURES, 64), axis(POSITIONS, 16), axis(POSITIONS, 16))
TOKENS: Axes = (axis(SAMPLES, 8), axis(POSITIONS, 32), axis(FEATURES, 64))
ROWS: Axes = (axis(SAMPLES, 64), axis(FEATURES, 256))


def flow(mean: float = 0.0, q: float = 1.0, axes: Axes = ROWS) -> Signal:
    """A signal of independent elements."""
    return independent(mean, q, axes)


def weight(std: float, *shape: int, mean: float = 0.0) -> Signal:
    """A parameter."""
    return independent(mean, mean * mean + std * std, plain(shape), free=True)


def call(
    op: str, *inputs: Signal | None, shape: tuple[int, ...] | None = None, batch: int = 8, **attrs: Any
) -> tuple[Call, list[Signal | None]]:
    """Run an operator's forward handler; `shape` is that of its first input where absent."""
    shapes = [None if s is None else shape_of(s.axes) for s in inputs]
    made = Call(
        op, attrs, list(inputs), [s is not None for s in inputs], shapes, [shape or shapes[0]], batch, training=True
    )
    made.outputs = FORWARD[op](made)
    return made, made.outputs


def ahead(
    op: str, *inputs: Signal | None, shape: tuple[int, ...] | None = None, batch: int = 8, **attrs: Any
) -> Signal:
    """The first output."""
    out = call(op, *inputs, shape=shape, batch=batch, **attrs)[1][0]
    assert out is not None
    return out


def behind(
    op: str, gradient: Gradient, *inputs: Signal | None, shape: tuple[int, ...] | None = None, **attrs: Any
) -> list[Gradient | None]:
    """The gradients of the inputs."""
    made, _ = call(op, *inputs, shape=shape, **attrs)
    return BACKWARD[op](made, [gradient])
