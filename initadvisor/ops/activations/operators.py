"""Entries of the activations that act on each element by itself, and of the gated units made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from initadvisor.ops import functions as f
from initadvisor.ops.activations.curves import ACTIVATIONS
from initadvisor.ops.registry import Evaluate, register
from initadvisor.ops.spelling import functional


def _one(
    name: str,
    parameters: str = "input",
    *,
    evaluate: Evaluate | None = None,
    inplace: bool = False,
    also: str = "",
    **entry: Any,
) -> None:
    """An activation of one input; `parameters`, `inplace` and `also` spell it as `functional` does."""
    spelled = functional(name, parameters, inplace=inplace, also=also)
    register(name, "activation", "input", evaluate=evaluate or ACTIVATIONS[name].function, torch=spelled, **entry)


_one("relu", "input inplace", inplace=True, also="torch.Tensor.relu torch.Tensor.relu_", onnx="Relu")
_one("relu6", "input inplace")
_one("leaky_relu", "input negative_slope inplace", inplace=True, onnx={"LeakyRelu": {"alpha": "negative_slope"}})
register(
    "prelu",
    "activation",
    "input weight",
    evaluate=lambda x, weight, **_: np.where(x > 0, x, weight * x),
    torch=functional("prelu", "input weight", also="torch.Tensor.prelu"),
    onnx="PRelu",
)
_one(
    "rrelu",
    "input lower upper training inplace",
    inplace=True,
    evaluate=lambda x, lower=0.125, upper=1 / 3, **_: f.leaky_relu(x, 0.5 * (lower + upper)),
)
_one("elu", "input alpha inplace", inplace=True, onnx="Elu")
_one("celu", "input alpha inplace", inplace=True, onnx="Celu")
_one("selu", "input inplace", inplace=True, onnx={"Selu": {"gamma": "scale"}})
_one(
    "gelu",
    "input approximate",
    onnx="Gelu com.microsoft::Gelu com.microsoft::FastGelu",
    onnx_defaults={"com.microsoft::FastGelu": {"approximate": "tanh"}},
)
_one(
    "silu",
    "input inplace",
    inplace=True,
    onnx={"Swish": {"alpha": "beta"}, "com.microsoft::QuickGelu": {"alpha": "beta"}},
    onnx_defaults={"com.microsoft::QuickGelu": {"beta": 1.702}},
)
_one("mish", "input inplace", inplace=True, onnx="Mish")
_one("hardswish", "input inplace", inplace=True, onnx="HardSwish")
_one(
    "hardsigmoid",
    "input inplace",
    inplace=True,
    onnx="HardSigmoid",
    onnx_defaults={"HardSigmoid": {"alpha": 0.2, "beta": 0.5}},
)
_one("hardtanh", "input min_val max_val inplace", inplace=True)
_one(
    "sigmoid",
    inplace=True,
    also="torch.Tensor.sigmoid torch.Tensor.sigmoid_ torch.special.expit",
    onnx="Sigmoid",
)
_one("tanh", inplace=True, also="torch.Tensor.tanh torch.Tensor.tanh_", evaluate=np.tanh, onnx="Tanh")
_one("softplus", "input beta threshold", onnx="Softplus")
_one("softsign", onnx="Softsign")
_one("logsigmoid", also="torch._C._nn.log_sigmoid")
_one("tanhshrink")
_one("softshrink", "input lambd", onnx="Shrink", onnx_defaults={"Shrink": {"lambd": 0.5, "bias": 0.0}})
_one("hardshrink", "input lambd", also="torch.Tensor.hardshrink")
_one(
    "threshold",
    "input threshold value inplace",
    inplace=True,
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
register("glu", "activation", "input", torch=functional("glu", "input dim"))
