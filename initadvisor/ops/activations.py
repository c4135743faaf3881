"""Activations: their numpy functions, derivatives and kinks (`ACTIVATIONS`), and their operator entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from initadvisor.ops import functions as f
from initadvisor.ops.registry import register
from initadvisor.ops.spelling import functional, spell

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


def _register() -> None:
    unary = "input"
    register(
        "relu",
        "activation",
        unary,
        evaluate=f.relu,
        torch=functional("relu", "input inplace", inplace=True, also="torch.Tensor.relu torch.Tensor.relu_"),
        onnx="Relu",
    )
    register(
        "relu6", "activation", unary, evaluate=ACTIVATIONS["relu6"].function, torch=functional("relu6", "input inplace")
    )
    register(
        "leaky_relu",
        "activation",
        unary,
        evaluate=f.leaky_relu,
        torch=functional("leaky_relu", "input negative_slope inplace", inplace=True),
        onnx={"LeakyRelu": {"alpha": "negative_slope"}},
    )
    register(
        "prelu",
        "activation",
        "input weight",
        evaluate=lambda x, weight, **_: np.where(x > 0, x, weight * x),
        torch=functional("prelu", "input weight", also="torch.Tensor.prelu"),
        onnx="PRelu",
    )
    register(
        "rrelu",
        "activation",
        unary,
        evaluate=lambda x, lower=0.125, upper=1 / 3, **_: f.leaky_relu(x, 0.5 * (lower + upper)),
        torch=functional("rrelu", "input lower upper training inplace", inplace=True),
    )
    register(
        "elu",
        "activation",
        unary,
        evaluate=f.elu,
        torch=functional("elu", "input alpha inplace", inplace=True),
        onnx={"Elu": {}},
    )
    register(
        "celu",
        "activation",
        unary,
        evaluate=f.celu,
        torch=functional("celu", "input alpha inplace", inplace=True),
        onnx={"Celu": {}},
    )
    register(
        "selu",
        "activation",
        unary,
        evaluate=f.selu,
        torch=functional("selu", "input inplace", inplace=True),
        onnx={"Selu": {"gamma": "scale"}},
    )
    register(
        "gelu",
        "activation",
        unary,
        evaluate=f.gelu,
        torch=functional("gelu", "input approximate"),
        onnx={"Gelu": {}, "com.microsoft::Gelu": {}, "com.microsoft::FastGelu": {}},
        onnx_defaults={"com.microsoft::FastGelu": {"approximate": "tanh"}},
    )
    register(
        "silu",
        "activation",
        unary,
        evaluate=f.silu,
        torch=functional("silu", "input inplace", inplace=True),
        onnx={"Swish": {"alpha": "beta"}, "com.microsoft::QuickGelu": {"alpha": "beta"}},
        onnx_defaults={"com.microsoft::QuickGelu": {"beta": 1.702}},
    )
    register(
        "mish",
        "activation",
        unary,
        evaluate=f.mish,
        torch=functional("mish", "input inplace", inplace=True),
        onnx="Mish",
    )
    register(
        "hardswish",
        "activation",
        unary,
        evaluate=f.hardswish,
        torch=functional("hardswish", "input inplace", inplace=True),
        onnx="HardSwish",
    )
    register(
        "hardsigmoid",
        "activation",
        unary,
        evaluate=f.hardsigmoid,
        torch=functional("hardsigmoid", "input inplace", inplace=True),
        onnx="HardSigmoid",
        onnx_defaults={"HardSigmoid": {"alpha": 0.2, "beta": 0.5}},
    )
    register(
        "hardtanh",
        "activation",
        unary,
        evaluate=f.hardtanh,
        torch=functional("hardtanh", "input min_val max_val inplace", inplace=True),
    )
    register(
        "sigmoid",
        "activation",
        unary,
        evaluate=f.sigmoid,
        torch=functional(
            "sigmoid",
            unary,
            inplace=True,
            also="torch.Tensor.sigmoid torch.Tensor.sigmoid_ torch.special.expit",
        ),
        onnx="Sigmoid",
    )
    register(
        "tanh",
        "activation",
        unary,
        evaluate=np.tanh,
        torch=functional("tanh", unary, inplace=True, also="torch.Tensor.tanh torch.Tensor.tanh_"),
        onnx="Tanh",
    )
    register(
        "softplus",
        "activation",
        unary,
        evaluate=f.softplus,
        torch=functional("softplus", "input beta threshold"),
        onnx="Softplus",
    )
    register(
        "softsign",
        "activation",
        unary,
        evaluate=f.softsign,
        torch=functional("softsign", unary),
        onnx="Softsign",
    )
    for name in ("logsigmoid", "tanhshrink"):
        spelled = functional(name, unary, also="torch._C._nn.log_sigmoid" if name == "logsigmoid" else "")
        register(name, "activation", unary, evaluate=ACTIVATIONS[name].function, torch=spelled)
    register(
        "softshrink",
        "activation",
        unary,
        evaluate=f.softshrink,
        torch=functional("softshrink", "input lambd"),
        onnx={"Shrink": {}},
        onnx_defaults={"Shrink": {"lambd": 0.5, "bias": 0.0}},
    )
    register(
        "hardshrink",
        "activation",
        unary,
        evaluate=f.hardshrink,
        torch=functional("hardshrink", "input lambd", also="torch.Tensor.hardshrink"),
    )
    register(
        "threshold",
        "activation",
        unary,
        evaluate=f.threshold,
        torch=functional("threshold", "input threshold value inplace", inplace=True),
        onnx={"ThresholdedRelu": {"alpha": "threshold"}},
        onnx_defaults={"ThresholdedRelu": {"threshold": 1.0, "value": 0.0}},
    )
    register(
        "gated_silu",
        "activation",
        "gate value",
        evaluate=lambda gate, value, alpha=1.0, **_: value * f.silu(gate, alpha),
        onnx="SwiGLU",
    )
    register("glu", "activation", unary, torch=functional("glu", "input dim"))
    softmax = {"Softmax": {"axis": "dim"}}
    register(
        "softmax",
        "attention",
        unary,
        torch=spell("softmax", "input dim", also="torch.special.softmax")
        | functional("softmax", "input dim _stacklevel"),
        onnx=softmax,
    )
    register("softmin", "attention", unary, torch=functional("softmin", "input dim"))
    register(
        "log_softmax",
        "attention",
        unary,
        torch=spell("log_softmax", "input dim", also="torch.special.log_softmax")
        | {"torch.nn.functional.log_softmax": "input dim _stacklevel"},
        onnx={"LogSoftmax": {"axis": "dim"}},
    )
    register(
        "gumbel_softmax",
        "attention",
        unary,
        torch=functional("gumbel_softmax", "input tau hard eps dim"),
        torch_keywords={"logits": "input"},
    )
    register("hardmax", "attention", unary, onnx={"Hardmax": {"axis": "dim"}})


_register()
