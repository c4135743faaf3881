"""Training loops as people write them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn


def batches(count: int, width: int = 64) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Standard normal inputs and drawn classes, the same ones every time."""
    generator = torch.Generator().manual_seed(11)
    for _ in range(count):
        yield torch.randn(16, width, generator=generator), torch.randint(0, 10, (16,), generator=generator)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    """Losses of some plain steps."""
    losses = []
    for x, y in batches(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
