"""The models that are compared: torchvision's classifiers, two decoders, plain stacks of every activation.

Two shared cores have to run all of them, so images are small: what a layer does to statistics is predicted for the
shapes that run, whatever these are. Batch norms average over few places then, which is the harder case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torchvision
from decoders import GPT2, Llama
from torch import nn

HEAVY, HUGE = 5.0, 60.0
"""Billions of multiply-adds, as torchvision states them, from which images and batches are made smaller."""
FIXED_SIZE = {"maxvit_t": 224, "inception_v3": 128}
TOO_LARGE: dict[str, str] = {}
"""Models that are not run, with the reason."""


@dataclass(frozen=True)
class Case:
    """A model to draw and the inputs that it is run on; `double`: in float64."""

    name: str
    make: Callable[[], nn.Module]
    inputs: tuple[torch.Tensor, ...]
    double: bool = False


def torchvision_cases() -> Iterator[Case]:
    """Every classification model: images of 96 pixels in batches of 8, of 64 where the model is heavy."""
    for name in torchvision.models.list_models(module=torchvision.models):
        if name in TOO_LARGE:
            continue
        cost = torchvision.models.get_model_weights(name).DEFAULT.meta["_ops"]
        size, batch = (96, 8) if cost < HEAVY else (64, 8) if cost < HUGE else (64, 4)
        options: dict[str, Any] = {}
        if name in FIXED_SIZE:
            size, batch = FIXED_SIZE[name], 8 if name == "inception_v3" else 2
        if name.startswith("vit_"):
            size = 84 if name.endswith("14") else 128 if name.endswith("32") else 96
            batch = 8 if name.startswith("vit_b") else 2
            options = {"image_size": size}
        if name in ("googlenet", "inception_v3"):
            options = {"aux_logits": False, "init_weights": True}

        def make(name: str = name, options: dict[str, Any] = options) -> nn.Module:
            return torchvision.models.get_model(name, **options)

        torch.manual_seed(1)
        yield Case(f"torchvision:{name}", make, (torch.randn(batch, 3, size, size),))


def decoder_cases() -> Iterator[Case]:
    """The two language models on random tokens."""
    torch.manual_seed(1)
    yield Case("gpt2-like", GPT2, (torch.randint(0, 5000, (4, 128)),))
    yield Case("llama-like", Llama, (torch.randint(0, 5000, (4, 128)),))


STACKED: dict[str, Callable[[], nn.Module]] = {
    "celu": lambda: nn.CELU(0.7),
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU("tanh"),
    "hardshrink": nn.Hardshrink,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "hardtanh": nn.Hardtanh,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "logsigmoid": nn.LogSigmoid,
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "softshrink": nn.Softshrink,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
    "tanhshrink": nn.Tanhshrink,
}
GAINS = (None, 0.7, 1.0, 2**0.5, 2.0, 3.0)
"""Standard deviation of the weights times the root of their fan-in; None keeps PyTorch's default draw."""
MLP_DEPTH, CNN_DEPTH = 12, 8


def stack(activation: str, kind: str, gain: float | None) -> nn.Module:
    """A plain MLP or CNN in float64."""
    layers: list[nn.Module] = []
    for _ in range(MLP_DEPTH if kind == "mlp" else CNN_DEPTH):
        layer = nn.Linear(256, 256) if kind == "mlp" else nn.Conv2d(32, 32, 3, padding=1)
        if gain is not None:
            nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        layers += [layer, STACKED[activation]()]
    return nn.Sequential(*layers[:-1]).double()


def stack_cases() -> Iterator[Case]:
    """Plain stacks of every activation at several gains."""
    for activation in STACKED:
        for kind in ("mlp", "cnn"):
            torch.manual_seed(1)
            x = torch.randn(16, 256) if kind == "mlp" else torch.randn(4, 32, 12, 12)
            for gain in GAINS:

                def make(a: str = activation, k: str = kind, g: float | None = gain) -> nn.Module:
                    return stack(a, k, g)

                label = "default" if gain is None else f"{gain:.3g}"
                yield Case(f"{kind}:{activation}:{label}", make, (x.double(),), double=True)
