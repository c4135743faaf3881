"""What the first layers of a module want to be fed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

Kind = Literal["image", "sequence", "volume", "tokens", "features", "steps"]


@dataclass(frozen=True, slots=True)
class Appetite:
    """What a layer consumes: `channels` of a float tensor, or tokens below `vocabulary`."""

    kind: Kind
    channels: int
    vocabulary: int = 0
    batch_first: bool = True

    def shape(self, size: int = 224, batch: int = 2, length: int = 16) -> tuple[int, ...]:
        """An example shape; `size` is the width and height of an image, `length` that of a sequence."""
        if self.kind == "image":
            return (batch, self.channels, size, size)
        if self.kind == "volume":
            return (batch, self.channels, 16, min(size, 64), min(size, 64))
        if self.kind == "sequence":
            return (batch, self.channels, max(size, 64))
        if self.kind == "steps":
            return (batch, length, self.channels) if self.batch_first else (length, batch, self.channels)
        if self.kind == "tokens":
            return (batch, length)
        return (batch, self.channels)


def appetites(module: nn.Module) -> list[Appetite]:
    """What the weighted layers of a module consume, in order of definition, the same appetite only once."""
    found: dict[Appetite, None] = {}
    for part in module.modules():
        appetite = _appetite(part)
        if appetite is not None:
            found.setdefault(appetite)
    return list(found)


def _appetite(layer: nn.Module) -> Appetite | None:
    kinds: tuple[Kind, Kind, Kind] = ("sequence", "image", "volume")
    for n, name in enumerate(kinds, start=1):
        conv = getattr(nn, f"Conv{n}d"), getattr(nn, f"ConvTranspose{n}d")
        if isinstance(layer, conv):
            return Appetite(name, layer.in_channels or 3)
        if type(layer).__name__ == f"LazyConv{n}d":
            return Appetite(name, 3)
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return Appetite("tokens", 0, layer.num_embeddings)
    if isinstance(layer, nn.RNNBase):
        return Appetite("steps", layer.input_size, batch_first=layer.batch_first)
    if isinstance(layer, nn.RNNCellBase):
        return Appetite("features", layer.input_size)
    if isinstance(layer, nn.MultiheadAttention):
        return Appetite("steps", layer.embed_dim, batch_first=layer.batch_first)
    if isinstance(layer, nn.Linear):
        return Appetite("features", layer.in_features or 16)
    weight = layer._parameters.get("weight")
    if isinstance(weight, nn.parameter.UninitializedTensorMixin):
        return None
    if isinstance(weight, torch.Tensor) and weight.dim() == 2 and not isinstance(layer, nn.modules.batchnorm._NormBase):
        return Appetite("features", int(weight.shape[1]))
    return None
