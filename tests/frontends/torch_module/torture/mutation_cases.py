"""In-place operators, views and state: a write makes a new value of everything that shares the memory."""

from __future__ import annotations

import torch
from torch import nn
from torture import case, row


class _Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.b = nn.Linear(8, 8)


@case(row(2, 8), weights={"a.weight": "linear"}, ops=("relu",))
class InplaceRelu(_Pair):
    def forward(self, x):
        h = self.a(x)
        torch.relu_(h)
        return self.b(h)


@case(row(2, 8), weights={"b.weight": "linear"})
class WriteThroughView(_Pair):
    """The view is written, the base is returned: the base depends on what was written."""

    def forward(self, x):
        h = self.a(x).clone()
        h[:, :4].copy_(self.b(x)[:, :4])
        return h


@case(row(2, 8), weights={"b.weight": "linear"}, unreached=("a.weight", "a.bias"), autograd=False)
class WriteBaseReadView(_Pair):
    """The base is overwritten after the view was taken: the view shows the new numbers."""

    def forward(self, x):
        h = self.a(x).clone()
        view = h[:, 2:6]
        h.copy_(self.b(x))
        return view


@case(row(2, 8), weights={"a.weight": "linear", "b.weight": "linear"}, ops=("setitem",))
class IndexPut(_Pair):
    def forward(self, x):
        out = torch.zeros(2, 2, 8)
        out[:, 0] = self.a(x)
        out[:, 1] = self.b(x)
        return out


@case(row(2, 8), weights={"a.weight": "linear"}, unreached=("b.weight", "b.bias"), autograd=False)
class DisjointWrite(_Pair):
    """The other half of the memory was written: what is returned does not depend on it."""

    def forward(self, x):
        out = torch.zeros(2, 16)
        left, right = out[:, :8], out[:, 8:]
        left.copy_(self.a(x))
        right.copy_(self.b(x))
        return left * 2


@case(row(2, 8), weights={"a.weight": "linear"})
class InplaceArithmetic(_Pair):
    def forward(self, x):
        h = self.a(x)
        h += self.b(x)
        h *= 2
        h.clamp_(min=0).add_(1)
        return h


@case(row(2, 8), weights={"a.weight": "linear", "b.weight": "linear"}, autograd=False)
class OutArgument(_Pair):
    def forward(self, x):
        buffer = torch.empty(2, 8)
        with torch.no_grad():
            torch.add(self.a(x), self.b(x), out=buffer)
        return buffer


@case(row(2, 8), weights={"a.weight": "linear"}, ops=("masked_fill",))
class MaskedFillInplace(_Pair):
    def forward(self, x):
        h = self.a(x)
        h.masked_fill_(torch.eye(8, dtype=torch.bool)[:2], float("-inf"))
        return self.b(h.softmax(-1))


@case(row(2, 5, 8), weights={"a.weight": "linear"})
class AutoregressiveBuffer(_Pair):
    def forward(self, x):
        out = torch.zeros_like(x)
        for t in range(1, x.shape[1]):
            out[:, t] = torch.tanh(self.a(x[:, t]) + self.b(out[:, t - 1].clone()))
        return out


@case(row(2, 8), weights={"a.weight": "linear"})
class ScatterInplace(_Pair):
    def forward(self, x):
        h = self.a(x)
        out = torch.zeros(2, 8)
        out.scatter_add_(1, torch.arange(8).flip(0).expand(2, 8), h)
        out.index_add_(0, torch.tensor([1, 0]), self.b(x))
        return out


@case(row(2, 8), weights={"linear.weight": "linear"})
class BufferUpdate(nn.Module):
    """A running statistic in a buffer: used, changed, and put back."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x):
        self.steps += 1
        self.mean.mul_(0.9).add_(x.detach().mean(0), alpha=0.1)
        return self.linear(x - self.mean)


@case(row(2, 8), weights={"linear.weight": "linear"})
class StateBetweenCalls(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.cache: list[torch.Tensor] = []
        self.last = None

    def forward(self, x):
        h = self.linear(x)
        self.cache.append(h)
        self.last = h
        return h + torch.stack(self.cache).sum(0)


@case(row(2, 8), weights={"linear.weight": "clamp"}, autograd=False)
class ParameterWrittenInForward(nn.Module):
    """Weights clipped in the forward pass, as in a WGAN critic: the clipping is part of the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        with torch.no_grad():
            self.linear.weight.clamp_(-0.5, 0.5)
        return self.linear(x)


@case(row(2, 8), weights={"linear.weight": "linear"})
class DataAssignment(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        self.linear.weight.data = self.linear.weight.data * 1.0
        return self.linear(x)


@case(row(2, 3, 8, 8), weights={"conv.weight": "conv"}, autograd=False)
class InplaceInSequential(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.rest = nn.Sequential(
            nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True), nn.Conv2d(4, 2, 1)
        )

    def forward(self, x):
        return self.rest(self.conv(x)).flatten(1)


@case(row(2, 8), weights={"a.weight": "linear"}, ops=("chunk",), autograd=False)
class ChunkWritten(_Pair):
    def forward(self, x):
        h = self.a(x).clone()
        q, k = h.chunk(2, -1)
        q.mul_(2)
        return self.b(h) + k.sum()


@case(row(2, 8), weights={"a.weight": "linear"})
class ReturnedAlias(_Pair):
    def forward(self, x):
        h = self.a(x)
        return {"h": h, "again": h.view(-1), "b": self.b(h.T.T)}


@case(row(2, 8), weights={"a.weight": "linear"})
class DeepCopyInForward(_Pair):
    def forward(self, x):
        import copy

        kept = copy.copy(x)
        return self.a(kept) + self.b(x.clone().detach())
