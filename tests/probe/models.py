"""Small models of many kinds, each with the shape of its input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class Counting(nn.Module):
    """Keeps state in a buffer, a plain tensor, a list, a number and a generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 4)
        self.register_buffer("calls", torch.zeros(()))
        self.running = torch.zeros(8)
        self.seen: list[int] = []
        self.memory = {"last": torch.zeros(8)}
        self.count = 0
        self.generator = torch.Generator().manual_seed(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.running.mul_(0.9).add_(x.detach().mean(0), alpha=0.1)
        self.memory["last"].copy_(x.detach()[0])
        self.seen.append(len(x))
        self.count += 1
        x = x + 0.01 * torch.randn(x.shape, generator=self.generator)
        return self.head(torch.relu_(self.body(x)))


class Tied(nn.Module):
    """One matrix as embedding and as projection."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 8)
        self.project = nn.Linear(8, 16, bias=False)
        self.project.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.project(torch.tanh(self.embed(tokens)))


class Recurrent(nn.Module):
    """A recurrent layer and a head on its last state."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(8, 16, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Gated(nn.Module):
    """A residual block behind a zero gate (ReZero)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(x + self.gate * torch.tanh(self.branch(x)))


class Frozen(nn.Module):
    """A frozen stem and a batch norm kept in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.head = nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)
        self.stem.requires_grad_(False)
        self.norm.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.stem(x)))


def _mlp(activation: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 4))


def _convolutional(norm: Callable[[int], nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        norm(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def _encoder(first: bool) -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 2, 32, norm_first=first, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 4))


def _weight_norm() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 4))


def _spectral_norm() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 4))


def _lazy() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(4))


IMAGE, VECTOR, SEQUENCE = (4, 3, 8, 8), (4, 8), (4, 5, 16)

MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "relu": (lambda: _mlp(nn.ReLU), VECTOR),
    "relu in place": (lambda: _mlp(lambda: nn.ReLU(inplace=True)), VECTOR),
    "gelu": (lambda: _mlp(nn.GELU), VECTOR),
    "tanh": (lambda: _mlp(nn.Tanh), VECTOR),
    "prelu": (lambda: _mlp(nn.PReLU), VECTOR),
    "dropout": (lambda: _mlp(lambda: nn.Dropout(0.5)), VECTOR),
    "batch norm": (lambda: _convolutional(nn.BatchNorm2d), IMAGE),
    "group norm": (lambda: _convolutional(lambda c: nn.GroupNorm(2, c)), IMAGE),
    "instance norm": (lambda: _convolutional(lambda c: nn.InstanceNorm2d(c, track_running_stats=True)), IMAGE),
    "synchronised norm": (lambda: _convolutional(nn.BatchNorm2d).eval(), IMAGE),
    "post-norm encoder": (lambda: _encoder(False), SEQUENCE),
    "pre-norm encoder": (lambda: _encoder(True), SEQUENCE),
    "lstm": (lambda: Recurrent("LSTM"), (4, 5, 8)),
    "gru": (lambda: Recurrent("GRU"), (4, 5, 8)),
    "tied": (Tied, (4, 5)),
    "gated": (Gated, VECTOR),
    "frozen": (Frozen, VECTOR),
    "counting": (Counting, VECTOR),
    "weight norm": (_weight_norm, VECTOR),
    "spectral norm": (_spectral_norm, VECTOR),
    "lazy": (_lazy, VECTOR),
}


def batch_of(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Numbers for a model: tokens for the one that embeds."""
    generator = torch.Generator().manual_seed(1)
    if name == "tied":
        return torch.randint(0, 16, shape, generator=generator)
    return torch.randn(shape, generator=generator)
