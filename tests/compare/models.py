"""Small networks for digits: factories, so that each seed draws its own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn


def stack(
    function: Callable[[], nn.Module], depth: int = 8, width: int = 32, outputs: int = 10, inputs: int = 64
) -> nn.Sequential:
    """`depth` linear layers with a function between."""
    layers: list[nn.Module] = [nn.Linear(inputs, width), function()]
    for _ in range(depth - 2):
        layers += [nn.Linear(width, width), function()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def relu() -> nn.Module:
    return stack(nn.ReLU)


def tapering() -> nn.Module:
    """Eight layers, each narrower than the one before: no square matrix."""
    sizes = (64, 56, 48, 40, 32, 24, 20, 16)
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(16, 10))


def tanh() -> nn.Module:
    return stack(nn.Tanh)


def normed() -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def convolutional(channels: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


class LastState(nn.Module):
    """Reads rows of an image one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(8, 16, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Bag(nn.Module):
    """Averages embeddings of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(tokens).mean(1))
