"""Small networks for images of 8 x 8, how they start and what trains them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class Patches(nn.Module):
    """A small pre-norm vision transformer over 2 x 2 patches."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.position = nn.Parameter(torch.randn(1, 16, width) * 0.02)
        layer = functools.partial(nn.TransformerEncoderLayer, width, 4, 4 * width, 0.0, "gelu", batch_first=True)
        self.blocks = nn.Sequential(*(layer(norm_first=True) for _ in range(depth)))
        self.head = nn.Linear(width, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = images.unfold(1, 2, 2).unfold(2, 2, 2).reshape(-1, 16, 4)
        return self.head(self.blocks(self.embed(patches) + self.position).mean(1))


class Rows(nn.Module):
    """A two-layer LSTM that reads the image row by row."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTM(8, hidden, 2, batch_first=True)
        self.head = nn.Linear(hidden, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(images)[0][:, -1])


def perceptron(width: int, depth: int, activation: type[nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), activation(), *layers, nn.Linear(width, 10))


def convolutional(width: int, norm: bool) -> nn.Module:
    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not norm)
        return [conv, *([nn.BatchNorm2d(outputs)] if norm else []), nn.ReLU()]

    layers = [
        *block(1, width, 1),
        *block(width, 2 * width, 2),
        *block(2 * width, 2 * width, 1),
        *block(2 * width, 4 * width, 2),
    ]
    return nn.Sequential(
        nn.Unflatten(1, (1, 8)), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 10)
    )


NETS: dict[str, Callable[[], nn.Module]] = {
    "perceptron 256 x 5, relu": lambda: perceptron(256, 3, nn.ReLU),
    "perceptron 512 x 4, tanh": lambda: perceptron(512, 2, nn.Tanh),
    "perceptron 100 x 8, relu": lambda: perceptron(100, 6, nn.ReLU),
    "perceptron 1024 x 4, gelu": lambda: perceptron(1024, 2, nn.GELU),
    "convolutional 16": lambda: convolutional(16, False),
    "convolutional 32, batch norm": lambda: convolutional(32, True),
    "convolutional 64, batch norm": lambda: convolutional(64, True),
    "transformer 64 x 3": lambda: Patches(64, 3),
    "transformer 192 x 3": lambda: Patches(192, 3),
    "lstm 128 x 2": lambda: Rows(128),
}

STARTS: dict[str, Callable[[torch.Tensor], Any]] = {
    "default": lambda w: None,
    "kaiming_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "kaiming_normal, fan out": lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "normal 0.02": lambda w: nn.init.normal_(w, std=0.02),
    "truncated 0.02": lambda w: nn.init.trunc_normal_(w, std=0.02, a=-0.04, b=0.04),
    "orthogonal": lambda w: nn.init.orthogonal_(w, 2**0.5),
}

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD 0.01, momentum 0.9": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
    "SGD 0.1": lambda p: torch.optim.SGD(p, 0.1),
    "Adam 1e-3": lambda p: torch.optim.Adam(p, 1e-3),
    "Adam 3e-4": lambda p: torch.optim.Adam(p, 3e-4),
    "AdamW 1e-3, decay 0.05": lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.05),
}
