"""Whatever way an activation is written, it is recognised by its numbers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import pytest

from initadvisor.analysis.activation_shape import recognise, scalar_function
from initadvisor.graph import Activation
from initadvisor.ops.activations import ACTIVATIONS
from initadvisor.ops.functions import erf
from initadvisor.ops.gains import resolve

WRITTEN: list[tuple[str, dict[str, float], Callable[[np.ndarray], np.ndarray]]] = [
    ("gelu", {}, lambda x: np.float32(0.5) * x * (1 + erf(x / np.float32(1.4142135)))),
    ("gelu", {}, lambda x: (np.float16(0.5) * x) * (1 + erf(x * np.float16(0.70710677)))),
    ("gelu", {"approximate_tanh": 1.0}, lambda x: 0.5 * x * (1 + np.tanh(0.7978846 * (x + 0.044715 * x**3)))),
    ("quick_gelu", {}, lambda x: x / (1 + np.exp(-1.702 * x))),
    ("silu", {}, lambda x: x / (1 + np.exp(-x))),
    ("silu", {"beta": 1.3}, lambda x: x / (1 + np.exp(-1.3 * x))),
    ("mish", {}, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    ("hardswish", {}, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    ("hardsigmoid", {"alpha": 0.2, "beta": 0.5}, lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    ("tanh", {}, lambda x: 2 / (1 + np.exp(-2 * x)) - 1),
    ("tanh", {"w": 2 / 3, "scale": 1.7159}, lambda x: 1.7159 * np.tanh(2 / 3 * x)),
    ("relu", {}, lambda x: 0.5 * (x + np.abs(x))),
    ("relu", {"scale": 1.7139588594436646}, lambda x: 1.7139588594436646 * np.maximum(x, 0)),
    ("leaky_relu", {"negative_slope": 0.2}, lambda x: np.maximum(x, 0.2 * x)),
    ("elu", {"alpha": 0.5}, lambda x: np.where(x > 0, x, 0.5 * (np.exp(np.minimum(x, 0)) - 1))),
    ("relu6", {}, lambda x: np.minimum(np.maximum(x, 0), 6)),
    ("hardtanh", {"min_val": -2.0, "max_val": 2.0}, lambda x: np.clip(x, -2, 2)),
    ("squared_relu", {}, lambda x: np.square(np.maximum(x, 0))),
    ("squared_relu", {"scale": 0.8944, "bias": -0.4472}, lambda x: 0.8944 * np.maximum(x, 0) ** 2 - 0.4472),
    ("sin", {"w": 30.0}, lambda x: np.sin(30 * x)),
    ("softplus", {"beta": 2.0}, lambda x: np.log1p(np.exp(2 * x)) / 2),
    ("linear", {}, lambda x: x),
    ("linear", {"scale": -1.0, "bias": 1.0}, lambda x: 1 - x),
]


@pytest.mark.parametrize(("name", "params", "function"), WRITTEN)
def test_any_way_of_writing_it(name: str, params: dict[str, float], function: Callable[..., np.ndarray]) -> None:
    found = recognise(function)
    assert found.name == name
    fitted = dict(found.params)
    assert {key: value for key, value in fitted.items() if abs(value) > 1e-9} == pytest.approx(params, rel=1e-4)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"prelu"}))
def test_every_known_activation_is_its_own_fingerprint(name: str) -> None:
    found = recognise(resolve(name).function)
    same = {"threshold": "relu", "celu": "elu"}.get(name, name)
    assert found.name == same
    assert (found.second_moment, found.slope_moment) == pytest.approx(scalar_moments(found), rel=5e-5, abs=1e-4)


def scalar_moments(found: Activation) -> tuple[float, float]:
    scalar = scalar_function(found)
    assert scalar is not None
    z = np.linspace(-12, 12, 400_001)
    w = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    return float((scalar.function(z) ** 2 * w).sum()), float((scalar.derivative(z) ** 2 * w).sum())


def test_an_unknown_function_still_has_its_moments() -> None:
    snake = recognise(lambda x: x + np.sin(x) ** 2)
    assert snake.name == "unknown"
    # E[(x + sin^2 x)^2] = 1 + E[sin^4 x]; E[sin^4 x] = 3/8 - e^-2 / 2 + e^-8 / 8
    assert snake.second_moment == pytest.approx(1 + 3 / 8 - math.exp(-2) / 2 + math.exp(-8) / 8, rel=1e-9)
    # the derivative is 1 + sin 2x
    assert snake.slope_moment == pytest.approx(1 + (1 - math.exp(-8)) / 2, rel=1e-6)


def test_what_is_not_finite_has_no_moments() -> None:
    assert recognise(np.log) == Activation("unknown")


def test_a_constant_function_is_accepted() -> None:
    found = recognise(lambda x: np.float64(2.0))
    assert (found.name, found.second_moment, found.slope_moment) == ("linear", pytest.approx(4.0), pytest.approx(0.0))


def test_recognising_again_is_cheap() -> None:
    functions = [resolve(name).function for name in ("gelu", "silu", "relu", "tanh")]
    for function in functions:
        recognise(function)
    start = time.perf_counter()
    for _ in range(50):
        for function in functions:
            recognise(function)
    assert (time.perf_counter() - start) / 200 < 2e-4
