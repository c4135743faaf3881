"""Inputs and outputs of every shape: dicts, dataclasses, lists, objects, optional arguments; given and inferred."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torture import case, row


class _Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(8, 4)
        self.b = nn.Linear(6, 4)


def _pair():
    return {"x": torch.randn(2, 8), "y": torch.randn(2, 6)}


@case(lambda: (_pair(),), weights={"a.weight": "linear", "b.weight": "linear"})
class DictInput(_Two):
    def forward(self, batch):
        return {"sum": self.a(batch["x"]) + self.b(batch["y"])}


@case(_pair, weights={"b.weight": "linear"})
class KeywordInput(_Two):
    def forward(self, *, x, y):
        return self.a(x) + self.b(y)


@case(lambda: ([torch.randn(2, 8), torch.randn(2, 6)],), weights={"b.weight": "linear"})
class ListInput(_Two):
    def forward(self, parts):
        x, y = parts
        return [self.a(x), self.b(y)]


@case(lambda: ((torch.randn(2, 8), (torch.randn(2, 6), None)),), weights={"b.weight": "linear"})
class NestedTuples(_Two):
    def forward(self, parts):
        x, (y, nothing) = parts
        assert nothing is None
        return (self.a(x), {"deep": [self.b(y)]})


@dataclass
class Batch:
    x: torch.Tensor
    y: torch.Tensor
    extra: Any = None


@dataclass
class Answer:
    logits: torch.Tensor
    hidden: list[torch.Tensor]


@case(lambda: (Batch(torch.randn(2, 8), torch.randn(2, 6)),), weights={"b.weight": "linear"})
class DataclassInput(_Two):
    def forward(self, batch):
        h = self.a(batch.x)
        return Answer(h + self.b(batch.y), [h])


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


@case(lambda: (Pair(torch.randn(2, 8), torch.randn(2, 6)),), weights={"b.weight": "linear"})
class NamedTupleInput(_Two):
    def forward(self, pair):
        return Pair(self.a(pair.first), self.b(pair.second))


@case(lambda: (namedtuple("Bag", "x y")(torch.randn(2, 8), torch.randn(2, 6)),), weights={"b.weight": "linear"})
class PlainObjectOutput(_Two):
    def forward(self, bag):
        class Result:
            pass

        result = Result()
        result.a, result.b = self.a(bag.x), self.b(bag.y)
        return {"result": result.a, "other": result.b}


@case(
    lambda: (torch.randn(2, 8), None, True, "sum", 3), weights={"a.weight": "linear"}, unreached=("b.weight", "b.bias")
)
class PlainArguments(_Two):
    def forward(self, x, mask, flag, mode, times):
        h = self.a(x)
        for _ in range(times if flag else 0):
            h = torch.tanh(h)
        return h.sum(-1) if mode == "sum" else h


@case(row(2, 8), weights={"a.weight": "linear"}, unreached=("b.weight", "b.bias"))
class OptionalArgument(_Two):
    def forward(self, x, y=None):
        h = self.a(x)
        return h if y is None else h + self.b(y)


@case(
    lambda: ({"x": torch.randn(2, 8), "y": torch.randn(2, 6), "labels": torch.tensor([0, 1])}),
    weights={"b.weight": "linear"},
)
class LossInForward(_Two):
    def forward(self, x, y, labels=None):
        logits = self.a(x) + self.b(y)
        if labels is None:
            return logits
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@case(row(2, 8), weights={"a.weight": "linear"}, unreached=("b.weight", "b.bias"))
class GeneratorOutput(_Two):
    def forward(self, x):
        return list(self._steps(x))

    def _steps(self, x):
        for _ in range(3):
            yield self.a(x)


@case(None, weights={"a.weight": "linear", "b.weight": "linear"})
class InferredDict(_Two):
    def forward(self, batch):
        return self.a(batch["features"]) + self.b(batch["context"])


@case(None, weights={"a.weight": "linear", "b.weight": "linear"})
class InferredTwoArguments(_Two):
    def forward(self, left, right):
        return self.a(left) + self.b(right)


@case(None, weights={"b.weight": "linear"})
class InferredObject(_Two):
    def forward(self, data):
        return self.a(data.x) + self.b(data.attr)


@case(None, weights={"f.weight": "linear"})
class InferredFlat(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, 10)

    def forward(self, x):
        return self.f(x.flatten(1))


@case(None, weights={"c.weight": "conv", "f.weight": "linear"})
class InferredImageSize(nn.Module):
    """LeNet: the size follows from the width of the first linear layer."""

    def __init__(self):
        super().__init__()
        self.c, self.d, self.f = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Linear(400, 10)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.c(x)), 2)
        x = torch.max_pool2d(torch.relu(self.d(x)), 2)
        return self.f(x.view(x.size(0), -1))


@case(None, weights={"e.weight": "embedding"})
class InferredTokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.p, self.f = nn.Embedding(50, 8), nn.Embedding(12, 8), nn.Linear(8, 50)

    def forward(self, input_ids):
        positions = torch.arange(input_ids.shape[1])
        return self.f(self.e(input_ids) + self.p(positions))


@case(None, weights={"c.weight": "conv"})
class InferredWaveform(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.f = nn.Conv1d(1, 8, 10, 5), nn.Linear(8, 4)

    def forward(self, wave):
        return self.f(torch.relu(self.c(wave.unsqueeze(1))).mean(-1))


@case(None, weights={"image.weight": "conv", "text.weight": "embedding"})
class InferredTwoModalities(nn.Module):
    def __init__(self):
        super().__init__()
        self.image, self.text = nn.Conv2d(3, 8, 4, 4), nn.Embedding(20, 8)
        self.scale = nn.Parameter(torch.tensor(2.6))

    def forward(self, image, text):
        i, t = self.image(image).mean((2, 3)), self.text(text).mean(1)
        return self.scale.exp() * i @ t.t()


@case(None, weights={"time.weight": "linear", "conv.weight": "conv"})
class InferredDiffusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.time, self.out = nn.Conv2d(4, 8, 3, padding=1), nn.Linear(16, 8), nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x, timestep):
        angles = timestep[:, None].float() * torch.exp(-torch.arange(8) / 8)[None]
        emb = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        return self.out(torch.nn.functional.silu(self.conv(x) + emb[:, :, None, None]))


@case(None, weights={"layer.weight": "linear"})
class NoInput(nn.Module):
    """A generator of its own: nothing goes in."""

    def __init__(self):
        super().__init__()
        self.code, self.layer = nn.Parameter(torch.randn(4, 8)), nn.Linear(8, 3)

    def forward(self):
        return self.layer(self.code)
