"""Small networks that start well and badly."""

from __future__ import annotations

import torch
from torch import nn


def good(seed: int = 0, width: int = 64) -> nn.Sequential:
    """Three layers, each drawn for the ReLU behind it."""
    torch.manual_seed(seed)
    layers = [nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)]
    for layer in layers[::2]:
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def bad(seed: int = 0, width: int = 64) -> nn.Sequential:
    """The same, with hidden layers of zeros that never wake."""
    model = good(seed, width)
    for layer in (model[0], model[2]):
        nn.init.zeros_(layer.weight)
    return model
