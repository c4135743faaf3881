"""The networks of `fix.py`, each at the start that its author left it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


class Probe(nn.Identity):
    """A place on the residual stream to watch."""


def mlp(depth: int, width: int, activation: type[nn.Module]) -> nn.Sequential:
    """`depth` hidden layers and a head."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(64 if i == 0 else width, width), activation()]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(width, 10))


def xavier_mlp(depth: int, width: int) -> nn.Sequential:
    """A ReLU network as Xavier would start it."""
    model = mlp(depth, width, nn.ReLU)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
            nn.init.zeros_(module.bias)
    return model


def vgg16(std: float) -> nn.Sequential:
    """VGG-16's 13 convolutions and 3 dense layers, an eighth as wide, all drawn from N(0, std^2)."""
    layers: list[nn.Module] = [nn.Upsample(scale_factor=4)]
    channels = 1
    for width in (8, 8, 0, 16, 16, 0, 32, 32, 32, 0, 64, 64, 64, 0, 64, 64, 64, 0):
        if width:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        else:
            layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)]
    model = nn.Sequential(*layers)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, std)
            nn.init.zeros_(module.bias)
    return model


class Residual(nn.Module):
    """A residual network of two-layer blocks without any norm."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(layers // 2)
        )
        self.probe = Probe()
        self.head = nn.Linear(width, 10)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x.flatten(1))
        for block in self.blocks:
            x = self.probe(x + block(F.relu(x)))
        return self.head(x)


class Transformer(nn.Module):
    """A pre-norm transformer over the rows of a digit, with one weight ten times too large."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(0.02 * torch.randn(1, 8, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.probe = Probe()
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)
        with torch.no_grad():
            self.layers[1].linear2.weight.mul_(10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x.reshape(len(x), 8, 8)) + self.position
        for layer in self.layers:
            x = self.probe(layer(x))
        return self.head(self.norm(x).mean(1))


def cnn(depth: int, channels: int) -> nn.Sequential:
    """`depth` tanh convolutions of 3 x 3 that keep the image's size, and a head over all of it."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Conv2d(1 if i == 0 else channels, channels, 3, padding=1), nn.Tanh()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * channels, 10))


@dataclass(frozen=True)
class Case:
    """A network, its optimizer and how long it trains. signal: whether its spread is held to a factor of 2."""

    name: str
    build: Callable[[], nn.Module]
    rate: float
    steps: int
    adam: bool = False
    preset: str = "default"
    image: bool = False
    signal: bool = True
    batch: int = 128


CASES = [
    Case("30-layer ReLU MLP, Xavier", lambda: xavier_mlp(30, 256), 1e-3, 600),
    Case("30-layer ReLU MLP, PyTorch default", lambda: mlp(30, 256, nn.ReLU), 1e-3, 600),
    Case("20-layer sigmoid MLP, PyTorch default", lambda: mlp(20, 100, nn.Sigmoid), 1e-2, 600),
    Case("100-layer tanh MLP, PyTorch default", lambda: mlp(100, 100, nn.Tanh), 1e-3, 250),
    Case("VGG-16 (1/8 width) from N(0, .01^2)", lambda: vgg16(0.01), 1e-2, 300, image=True),
    Case("100-layer residual MLP without norm, He", lambda: Residual(100, 64), 1e-2, 300),
    Case("transformer, one weight x10", lambda: Transformer(6, 64), 1e-2, 300),
    Case(
        "1000-layer tanh MLP, EOI density .125",
        lambda: mlp(1000, 64, nn.Tanh),
        1e-3,
        40,
        preset="sparse-orthogonal",
        signal=False,
    ),
    Case("1000-layer tanh MLP, default plan (orthogonal)", lambda: mlp(1000, 64, nn.Tanh), 1e-3, 40, signal=False),
    Case(
        "1000-layer tanh CNN, default plan (delta-orthogonal)",
        lambda: cnn(1000, 8),
        1e-3,
        60,
        image=True,
        signal=False,
        batch=64,
    ),
]
