"""Functions of one value: activations, and any chain of element-wise operators over one value.

Such a chain (x * sigmoid(x), 0.5 x (1 + erf(x / sqrt 2)) ...) is composed into one function of its base and its
moments are those of that function under the base's Gaussian: no decomposition costs accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from initadvisor.errors import UsageError
from initadvisor.ops.activations import ACTIVATIONS
from initadvisor.ops.correlation import Dual, dual
from initadvisor.ops.gains import ScalarFunction, numeric_slope, resolve
from initadvisor.ops.moments.atoms import profile_over, smoothed
from initadvisor.ops.moments.places import product, raised
from initadvisor.ops.moments.registry import Call
from initadvisor.ops.moments.signal import Gradient, Signal
from initadvisor.ops.quadrature import nodes
from initadvisor.ops.registry import OPERATORS

Array = np.ndarray
_IDENTITY = resolve("linear")


def root_of(s: Signal) -> Signal:
    """The value that a signal is a function of: itself where it is none."""
    return s.base if s.base is not None else s


def function_of(s: Signal) -> ScalarFunction:
    """The function by which a signal comes from its root."""
    return s.function if s.function is not None else _IDENTITY


def apply(s: Signal, function: ScalarFunction) -> Signal:
    """The signal behind an element-wise function of its own value."""
    root = root_of(s)
    chain = function if s.function is None else compose(function, s.function)
    return of_root(root, chain, s)


def of_root(root: Signal, function: ScalarFunction, like: Signal) -> Signal:
    """function(root), with the statistics that it has where root is Gaussian."""
    if root.constant is not None:
        value = float(np.asarray(function.function(np.array([root.constant])))[0])
        square = value * value
        return like.fresh(mean=value, q=square, features=square, positions=square, samples=square, constant=value)
    d = expansion(root, function)
    square = root.mean * root.mean
    return Signal(
        mean=d.mean,
        q=d.second,
        features=d.pair(root.features - square),
        positions=d.pair(root.positions - square),
        samples=d.pair(root.samples - square),
        axes=like.axes,
        free=root.free,
        base=root,
        function=function,
        sources={key: value * d.slope_mean for key, value in root.sources.items()},
        visible=root.visible,
        places=raised(root.places, d.growth),
    )


def expansion(root: Signal, function: ScalarFunction) -> Dual:
    """The Hermite expansion of a function around the distribution of its root."""
    expanded = dual(function, root.mean, root.variance)
    return expanded if root.atoms is None else _with_atoms(root, function, expanded)


def _with_atoms(root: Signal, function: ScalarFunction, gaussian: Dual) -> Dual:
    """The expansion of a Gaussian of the same moments, its figures for a single element replaced by exact ones."""
    assert root.atoms is not None
    points, weights = smoothed(root)
    y = np.asarray(function.function(points), dtype=np.float64)
    slope = np.asarray(function.derivative(points), dtype=np.float64)
    # A signal that takes one value only has no spread to measure it in, and is nowhere off its mean.
    z = (points - root.mean) / math.sqrt(root.variance) if root.variance > 0 else np.zeros_like(points)
    return gaussian.corrected(
        (float(weights @ y), float(weights @ (y * y))),
        (float(weights @ slope), float(weights @ (slope * slope))),
        (float(weights @ (z * slope)), float(weights @ (z * z * slope * slope))),
    )


def to_base(s: Signal, gradient: Gradient) -> Gradient:
    """The gradient of the base of a signal from the gradient of the signal."""
    assert s.base is not None
    assert s.function is not None
    root = s.base
    d = expansion(root, s.function)
    square = root.mean * root.mean
    position, sample = root.positions - square, root.samples - square
    made = Gradient(
        q=gradient.q * d.slope,
        positions=gradient.positions * d.slope_pair(position),
        samples=gradient.samples * d.slope_pair(sample),
        features=gradient.features * d.slope_pair(root.features - square),
        radial_positions=gradient.positions * d.radial_pair(position),
        radial_samples=gradient.samples * d.radial_pair(sample),
    )
    if root.atoms is not None or gradient.profile is not None:
        made = _by_value(root, s.function, gradient, made)
    places, more = product(gradient.places, raised(root.places, d.slope_growth))
    made.q *= more
    made.places = places
    if gradient.picked is None:
        return made
    share, slope, radial = gradient.picked
    rest = 1.0 - share
    return Gradient(
        places=places,
        q=rest * made.q + share * gradient.q * slope,
        positions=rest * made.positions + share * gradient.positions * slope,
        samples=rest * made.samples + share * gradient.samples * slope,
        features=rest * made.features + share * gradient.features * slope,
        radial_positions=rest * made.radial_positions + share * gradient.positions * radial,
        radial_samples=rest * made.radial_samples + share * gradient.samples * radial,
    )


def _by_value(root: Signal, function: ScalarFunction, gradient: Gradient, made: Gradient) -> Gradient:
    """Where the size of the gradient depends on the value, slope and gradient are averaged together."""
    if root.atoms is not None:
        x, w = smoothed(root)
    elif root.variance > 0.0:
        x, w = nodes(root.mean, math.sqrt(root.variance), function.kinks or ())
    else:
        return made
    slope = np.asarray(function.derivative(x), dtype=np.float64)
    relative = gradient.relative(np.asarray(function.function(x), dtype=np.float64))
    norm = float(w @ relative)
    if norm <= 0.0:
        return made
    relative = relative / norm
    plain, together = float(w @ np.abs(slope)), float(w @ (np.abs(slope) * relative))
    coherent = (together / plain) ** 2 if plain > 0.0 else 1.0
    energy = slope * slope * relative
    q = float(w @ energy)
    profile = None
    if root.atoms is not None and q > 0.0:
        profile = profile_over(x, w, energy / q)
    return replace(
        made,
        q=gradient.q * q,
        positions=made.positions * coherent,
        samples=made.samples * coherent,
        radial_positions=made.radial_positions * coherent,
        radial_samples=made.radial_samples * coherent,
        profile=profile,
    )


@lru_cache(maxsize=4096)
def compose(outer: ScalarFunction, inner: ScalarFunction) -> ScalarFunction:
    """outer(inner(x)); where the inner function is linear the kinks of the outer one are carried over."""
    if outer.name == "linear" and not outer.kinks:
        return inner
    if inner.name == "linear" and inner is _IDENTITY:
        return outer
    return ScalarFunction(
        f"{outer.name}({inner.name})",
        lambda x: outer.function(np.asarray(inner.function(x))),
        lambda x: outer.derivative(np.asarray(inner.function(x))) * inner.derivative(x),
        inner.kinks,
        max(outer.oscillates, inner.oscillates),
    )


_PARAMETERS = {name: tuple(entry.params) for name, entry in ACTIVATIONS.items()}


def named(op: str, attrs: Mapping[str, Any]) -> ScalarFunction | None:
    """The scalar function of an activation operator with its attributes, None where the table has none."""
    if op in ACTIVATIONS:
        params = tuple((key, attrs[key]) for key in _PARAMETERS[op] if isinstance(attrs.get(key), (int, float, str)))
        return _resolved(op, params)
    entry = OPERATORS.get(op)
    if entry is None or entry.evaluate is None:
        return None
    usable = tuple((key, value) for key, value in sorted(attrs.items()) if isinstance(value, (int, float, str, bool)))
    return _evaluated(op, usable)


@lru_cache(maxsize=1024)
def _resolved(op: str, params: tuple[tuple[str, Any], ...]) -> ScalarFunction:
    try:
        return resolve(op, **dict(params))
    except UsageError:
        return resolve(op)


@lru_cache(maxsize=1024)
def _evaluated(op: str, attrs: tuple[tuple[str, Any], ...]) -> ScalarFunction:
    evaluate = OPERATORS[op].evaluate
    assert evaluate is not None
    given = dict(attrs)
    return from_numpy(op, lambda x: np.asarray(evaluate(x, **given), dtype=np.float64), _kinks(op, given))


def from_numpy(name: str, function: Callable[[Array], Array], kinks: tuple[float, ...] = (0.0,)) -> ScalarFunction:
    """A scalar function with a numeric derivative."""
    return ScalarFunction(name, function, numeric_slope(function), kinks)


def _kinks(op: str, attrs: Mapping[str, Any]) -> tuple[float, ...]:
    if op == "clamp":
        return tuple(float(attrs[key]) for key in ("min", "max") if isinstance(attrs.get(key), (int, float)))
    return (0.0,)


def elementwise_chain(call: Call) -> Signal | None:
    """The result of an element-wise operator all of whose tensors are functions of one value, else None."""
    entry = OPERATORS[call.op]
    if entry.evaluate is None:
        return None
    root: Signal | None = None
    like: Signal | None = None
    for s in call.inputs:
        if s is None or s.table:
            return None
        if s.constant is not None:
            continue
        own = root_of(s)
        if root is None:
            root, like = own, s
        elif own is not root or (like is not None and s.axes != like.axes):
            return None
    if root is None or like is None:
        return None
    if len(call.inputs) == 1:
        function = named(call.op, call.attrs)
        return None if function is None else of_root(root, compose(function, function_of(like)), like)
    evaluate, attrs = entry.evaluate, _plain_attrs(call.attrs)
    parts = [s.constant if s.constant is not None else function_of(s) for s in call.inputs if s is not None]
    return of_root(root, _joined(call.op, evaluate, attrs, tuple(parts)), like)


def _plain_attrs(attrs: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((k, v) for k, v in sorted(attrs.items()) if isinstance(v, (int, float, str, bool)))


@lru_cache(maxsize=4096)
def _joined(
    op: str, evaluate: Callable[..., Array], attrs: tuple[tuple[str, Any], ...], parts: tuple[Any, ...]
) -> ScalarFunction:
    given = dict(attrs)

    def function(x: Array) -> Array:
        values = [part.function(x) if isinstance(part, ScalarFunction) else np.float64(part) for part in parts]
        return np.asarray(np.broadcast_to(np.asarray(evaluate(*values, **given), dtype=np.float64), x.shape))

    kinks = tuple({k for part in parts if isinstance(part, ScalarFunction) for k in part.kinks or ()})
    return ScalarFunction(op, function, numeric_slope(function), kinks)
