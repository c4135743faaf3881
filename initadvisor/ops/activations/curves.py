"""What is known of each activation as a function of one number: its values, its derivative, its kinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from initadvisor.ops import functions as f

Kinks = Callable[[Mapping[str, Any]], tuple[float, ...]]


def _none(params: Mapping[str, Any]) -> tuple[float, ...]:
    return ()


def _zero(params: Mapping[str, Any]) -> tuple[float, ...]:
    return (0.0,)


@dataclass(frozen=True, slots=True)
class ActivationFunction:
    """One activation on float64 arrays.

    function, derivative: f(x, **params) and f'(x, **params); kinks: the points, for given params, where f or f' is
    not smooth; params: the defaults. A float parameter may be fitted, a text one picks a form.
    """

    name: str
    function: Callable[..., np.ndarray]
    derivative: Callable[..., np.ndarray]
    kinks: Kinks = _none
    params: Mapping[str, Any] = field(default_factory=dict)


def _hardsigmoid_kinks(params: Mapping[str, Any]) -> tuple[float, ...]:
    return (-params["beta"] / params["alpha"], (1.0 - params["beta"]) / params["alpha"])


def _shrink_kinks(params: Mapping[str, Any]) -> tuple[float, ...]:
    return (-abs(params["lambd"]), abs(params["lambd"]))


def _scaled_squared_relu(x: np.ndarray, scale: float = 1.0, bias: float = 0.0) -> np.ndarray:
    return np.asarray(scale * np.square(np.maximum(x, 0.0)) + bias)


ACTIVATIONS: dict[str, ActivationFunction] = {
    entry.name: entry
    for entry in (
        ActivationFunction("linear", lambda x: np.asarray(x), lambda x: np.ones_like(x)),
        ActivationFunction("relu", f.relu, f.step, _zero),
        ActivationFunction("leaky_relu", f.leaky_relu, f.leaky_relu_slope, _zero, {"negative_slope": 0.01}),
        ActivationFunction("prelu", f.leaky_relu, f.leaky_relu_slope, _zero, {"negative_slope": 0.25}),
        ActivationFunction(
            "relu6", lambda x: np.clip(x, 0.0, 6.0), lambda x: f.step(x) - f.step(x, 6.0), lambda params: (0.0, 6.0)
        ),
        ActivationFunction("elu", f.elu, f.elu_slope, _zero, {"alpha": 1.0}),
        ActivationFunction("celu", f.celu, f.celu_slope, _zero, {"alpha": 1.0}),
        ActivationFunction("selu", f.selu, f.selu_slope, _zero),
        ActivationFunction("gelu", f.gelu, f.gelu_slope, _none, {"approximate": "none"}),
        ActivationFunction("quick_gelu", lambda x: f.silu(x, 1.702), lambda x: f.silu_slope(x, 1.702)),
        ActivationFunction("silu", f.silu, f.silu_slope, _none, {"beta": 1.0}),
        ActivationFunction("mish", f.mish, f.mish_slope),
        ActivationFunction("hardswish", f.hardswish, f.hardswish_slope, lambda params: (-3.0, 3.0)),
        ActivationFunction(
            "hardsigmoid", f.hardsigmoid, f.hardsigmoid_slope, _hardsigmoid_kinks, {"alpha": 1.0 / 6.0, "beta": 0.5}
        ),
        ActivationFunction(
            "hardtanh",
            f.hardtanh,
            f.hardtanh_slope,
            lambda params: (params["min_val"], params["max_val"]),
            {"min_val": -1.0, "max_val": 1.0},
        ),
        ActivationFunction("sigmoid", f.sigmoid, f.sigmoid_slope),
        ActivationFunction("tanh", lambda x, w=1.0: np.tanh(w * x), f.tanh_slope, _none, {"w": 1.0}),
        ActivationFunction("softplus", f.softplus, f.softplus_slope, _none, {"beta": 1.0}),
        ActivationFunction("softsign", f.softsign, lambda x: 1.0 / np.square(1.0 + np.abs(x)), _zero),
        ActivationFunction("logsigmoid", lambda x: -f.softplus(-np.asarray(x)), lambda x: f.sigmoid(-np.asarray(x))),
        ActivationFunction("tanhshrink", lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2),
        ActivationFunction("softshrink", f.softshrink, f.outside_slope, _shrink_kinks, {"lambd": 0.5}),
        ActivationFunction("hardshrink", f.hardshrink, f.outside_slope, _shrink_kinks, {"lambd": 0.5}),
        ActivationFunction(
            "threshold",
            f.threshold,
            lambda x, threshold=0.0, value=0.0: f.step(x, threshold),
            lambda params: (params["threshold"],),
            {"threshold": 0.0, "value": 0.0},
        ),
        ActivationFunction(
            "squared_relu",
            _scaled_squared_relu,
            lambda x, scale=1.0, bias=0.0: 2.0 * scale * np.maximum(x, 0.0),
            _zero,
            {"scale": 1.0, "bias": 0.0},
        ),
        ActivationFunction(
            "sin", lambda x, w=1.0: np.sin(w * x), lambda x, w=1.0: w * np.cos(w * x), _none, {"w": 1.0}
        ),
        ActivationFunction(
            "cos", lambda x, w=1.0: np.cos(w * x), lambda x, w=1.0: -w * np.sin(w * x), _none, {"w": 1.0}
        ),
        ActivationFunction("exp", np.exp, np.exp),
        ActivationFunction("abs", np.abs, np.sign, _zero),
        ActivationFunction("square", np.square, lambda x: 2.0 * np.asarray(x)),
        ActivationFunction("gaussian", lambda x: np.exp(-np.square(x)), lambda x: -2.0 * x * np.exp(-np.square(x))),
        ActivationFunction("erf", f.erf, lambda x: 2.0 / np.sqrt(np.pi) * np.exp(-np.square(x))),
        ActivationFunction("sign", np.sign, lambda x: np.zeros_like(x), _zero),
        ActivationFunction("atan", np.arctan, lambda x: 1.0 / (1.0 + np.square(x))),
    )
}
