"""Recognise an activation by numeric fingerprint: what it computes, not how it is written.

The function between a pre-activation and the next operator is evaluated on a fixed grid and compared with every
known activation; families with a parameter are fitted first. Any decomposition of GELU, SiLU, Mish ... looks the
same here, and what is not known still gets its moments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from initadvisor.graph import Activation
from initadvisor.ops.activations import ACTIVATIONS
from initadvisor.ops.gains import ScalarFunction, gains, numeric_slope, resolve

Function = Callable[[np.ndarray], np.ndarray]
Params = tuple[tuple[str, float], ...]

_POSITIVE = (1e-3, 0.1, 0.3, 0.6, 0.9, 1.3, 1.7, 2.2, 2.9, 3.6, 4.7, 6.1, 8.0, 11.3, 16.0)
GRID: np.ndarray = np.array([*(-x for x in reversed(_POSITIVE)), 0.0, *_POSITIVE])
"""Where functions are compared: dense around 0, far enough out to show a limit or a cap at 6."""
GRID.setflags(write=False)

TOLERANCE = 2e-3
"""Largest relative difference that counts as the same function: what half-precision constants leave."""

_PLAIN = tuple(name for name in ACTIVATIONS if name not in ("prelu", "leaky_relu"))
_SCALE, _BIAS = "scale", "bias"
_TANH_FORM: Params = (("approximate_tanh", 1.0),)
_CACHE: dict[bytes, Activation] = {}
_CACHE_LIMIT = 4096


def recognise(function: Function) -> Activation:
    """Return the activation that `function` (element-wise, on float64 arrays) computes, with its moments.

    The name is "unknown" where nothing known fits; the moments are None where it is not finite around 0. Params
    hold what was fitted, with `scale` and `bias` where the function is a known one times a number, plus another.
    """
    with np.errstate(all="ignore"):
        y = np.asarray(function(GRID), dtype=np.float64)
    if y.shape != GRID.shape:
        y = np.broadcast_to(y, GRID.shape)
    key = np.round(y, 6).tobytes()
    known = _CACHE.get(key)
    if known is None:
        if len(_CACHE) >= _CACHE_LIMIT:
            _CACHE.clear()
        known = _CACHE[key] = _identify(y, function)
    return known


def scalar_function(activation: Activation) -> ScalarFunction | None:
    """The function that a recognised activation stands for, or None for an unknown one."""
    return _known(activation.name, activation.params) if activation.name in ACTIVATIONS else None


@lru_cache(maxsize=4096)
def _known(name: str, params: Params) -> ScalarFunction:
    given: dict[str, float | str] = dict(params)
    own = ACTIVATIONS[name].params
    scale = float(given.pop(_SCALE, 1.0)) if _SCALE not in own else 1.0
    shift = float(given.pop(_BIAS, 0.0)) if _BIAS not in own else 0.0
    if given.pop("approximate_tanh", 0.0):
        given["approximate"] = "tanh"
    base = resolve(name, **given)
    if scale == 1.0 and shift == 0.0:
        return base
    return ScalarFunction(
        name,
        lambda x: scale * base.function(x) + shift,
        lambda x: scale * base.derivative(x),
        base.kinks,
        base.oscillates,
    )


def _identify(y: np.ndarray, function: Function) -> Activation:
    if not np.isfinite(y).all():
        return Activation("unknown")
    name, error = "unknown", TOLERANCE
    params: Params = ()
    for candidate, candidate_params, values in _candidates(y):
        difference = float(np.max(np.abs(y - values) / (1.0 + np.abs(values))))
        if difference < 0.1 * error or (difference < error and name == "unknown"):
            name, params, error = candidate, candidate_params, difference
    if name == "unknown":
        measured = gains(ScalarFunction("unknown", function, numeric_slope(function), None))
        if math.isfinite(measured.second_moment) and math.isfinite(measured.slope_moment):
            return Activation("unknown", (), measured.second_moment, measured.slope_moment)
        return Activation("unknown")
    second, slope = _moments(name, params)
    return Activation(name, params, second, slope)


@lru_cache(maxsize=4096)
def _moments(name: str, params: Params) -> tuple[float, float]:
    measured = gains(_known(name, params))
    return measured.second_moment, measured.slope_moment


@lru_cache(maxsize=1)
def _plain_values() -> tuple[tuple[str, Params, np.ndarray], ...]:
    """Every activation at its defaults, plus the tanh form of GELU."""
    plain: list[tuple[str, Params]] = [(name, ()) for name in _PLAIN]
    return tuple((name, params, _on_grid(name, params)) for name, params in [*plain, ("gelu", _TANH_FORM)])


def _candidates(y: np.ndarray) -> Iterator[tuple[str, Params, np.ndarray]]:
    """Functions to compare with, the ones with fewer parameters first: a tie goes to the simpler name."""
    yield from _plain_values()
    for name, params in _fits(y):
        yield name, params, _on_grid(name, params)
    for name, params, values in _plain_values():
        norm = float(values @ values)
        if norm > 0 and name not in ("square", "squared_relu", "sign"):
            scale = float(values @ y) / norm
            if scale != 0 and math.isfinite(scale):
                yield name, (*params, (_SCALE, scale)), scale * values


def _on_grid(name: str, params: Params) -> np.ndarray:
    return np.asarray(_known(name, params).function(GRID), dtype=np.float64)


def _fits(y: np.ndarray) -> Iterator[tuple[str, Params]]:
    """Parameters of each family, read off at the points that show them."""
    at = {float(x): float(value) for x, value in zip(GRID, y, strict=True)}
    low, high, origin, one = at[-16.0], at[16.0], at[0.0], at[0.9]
    slope = (at[1e-3] - at[-1e-3]) / 2e-3
    yield "linear", ((_SCALE, (high - low) / 32.0), (_BIAS, origin))
    yield "leaky_relu", (("negative_slope", low / -16.0),)
    if low < 0:
        yield "elu", (("alpha", low / math.expm1(-16.0)),)
        alpha = _celu_alpha(low)
        if alpha is not None:
            yield "celu", (("alpha", alpha),)
    gate = one / 0.9
    if 0.0 < gate < 1.0:
        yield "silu", (("beta", math.log(gate / (1.0 - gate)) / 0.9),)
    if origin > 0:
        yield "softplus", (("beta", math.log(2.0) / origin),)
    if low < high:
        yield "hardtanh", (("min_val", low), ("max_val", high))
    if slope > 0 and 0.0 < origin < 1.0:
        yield "hardsigmoid", (("alpha", slope), ("beta", origin))
    if 0.0 < 16.0 - high < 16.0:
        yield "softshrink", (("lambd", 16.0 - high),)
    yield "squared_relu", ((_SCALE, (high - low) / 256.0), ("bias", low))
    if high != 0:
        yield "tanh", (("w", slope / high), (_SCALE, high))
    if slope != 0:
        yield "sin", (("w", _sine_frequency(at, slope)),)


def _celu_alpha(low: float) -> float | None:
    """The alpha for which alpha (exp(-16/alpha) - 1) = low, by bisection."""
    if not -16.0 < low < 0.0:
        return None
    small, large = 1e-6, 1e6
    for _ in range(80):
        middle = math.sqrt(small * large)
        small, large = (middle, large) if middle * math.expm1(-16.0 / middle) > low else (small, middle)
    return math.sqrt(small * large)


def _sine_frequency(at: dict[float, float], slope: float) -> float:
    """w of sin(w x): the slope at 0, corrected for the finite step."""
    value = at[1e-3]
    return math.asin(value) / 1e-3 if abs(value) < 1.0 else slope
