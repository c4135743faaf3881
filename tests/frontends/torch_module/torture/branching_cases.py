"""Python control flow on tensor values: guessed, written down, never fatal."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torture import case, row


class _Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.b = nn.Linear(8, 4)


@case(row(2, 8), weights={"a.weight": "linear", "b.weight": "linear"}, events=("guess",))
class NanGuard(_Base):
    def forward(self, x):
        h = self.a(x)
        if torch.isnan(h).any():
            raise ValueError("NaN in the hidden state")
        return self.b(h)


@case(row(2, 8), weights={"b.weight": "linear"}, events=("guess",))
class FiniteAssertion(_Base):
    def forward(self, x):
        h = torch.tanh(self.a(x))
        assert torch.isfinite(h).all()
        return self.b(h)


@case(row(2, 8), weights={"a.weight": "linear"}, events=("guess",), autograd=False)
class BranchOnMean(_Base):
    def forward(self, x):
        h = self.a(x)
        if h.mean() > 1000:
            h = h - h.mean()
        return self.b(h)


@case(row(2, 8), weights={"a.weight": "linear", "b.weight": "linear"}, events=("guess",), autograd=False)
class WhileConverging(_Base):
    def forward(self, x):
        h = self.a(x)
        while h.norm() > 1e-3:
            h = h * 0.1
        return self.b(h)


@case(row(2, 8), weights={"a.weight": "linear"}, events=("guess",), autograd=False)
class WhileNotDone(_Base):
    def forward(self, x):
        h = x
        done = False
        while not done:
            h = torch.tanh(self.a(h))
            done = bool((h.abs() < 2).any())
        return self.b(h)


@case(row(2, 8), weights={"b.weight": "linear"}, events=("guess",))
class ItemAsScale(_Base):
    def forward(self, x):
        h = self.a(x)
        return self.b(h) * h.detach().abs().max().item()


@case(row(2, 8), weights={"b.weight": "linear"}, events=("guess",))
class ItemAsSize(_Base):
    def forward(self, x):
        n = int(self.a(x).argmax(-1).float().mean()) + 1
        return self.b(self.a(x)).unsqueeze(1).repeat(1, n, 1)


@case(row(2, 8), weights={"b.weight": "linear"}, autograd=False)
class BooleanMask(_Base):
    def forward(self, x):
        h = self.a(x)
        kept = h[h.sum(-1) > -1e9]
        return self.b(kept)


@case(row(2, 8), weights={"b.weight": "linear"}, autograd=False)
class MaskedWrite(_Base):
    def forward(self, x):
        h = self.a(x).clone()
        h[h < 0] = 0.0
        return self.b(h)


@case(row(4, 8), weights={"b.weight": "linear"}, autograd=False)
class NonzeroGather(_Base):
    def forward(self, x):
        h = self.a(x)
        index = torch.nonzero(h.abs().sum(-1) > 0).squeeze(1)
        return self.b(h[index])


@case(row(4, 8), weights={"a.weight": "linear"}, autograd=False)
class UniqueRows(_Base):
    def forward(self, x):
        codes = self.a(x).argmax(-1)
        values, counts = torch.unique(codes, return_counts=True)
        return self.b(self.a(x)).sum() / values.numel() + counts.sum()


@case(row(4, 8), weights={"b.weight": "linear"})
class TopkSelection(_Base):
    def forward(self, x):
        h = self.a(x)
        _, index = h.sum(-1).topk(2)
        return self.b(h[index])


@case(row(2, 8), weights={"b.weight": "linear"}, events=("guess",))
class ToList(_Base):
    def forward(self, x):
        h = self.a(x)
        factors = h.detach().mean(0).tolist()
        return self.b(h * sum(factors))


@case(row(2, 8), weights={"b.weight": "linear"}, events=("guess",))
class NumpyRoundTrip(_Base):
    def forward(self, x):
        h = self.a(x)
        scale = torch.from_numpy(h.detach().numpy().mean(0))
        return self.b(h * scale)


@case(row(2, 8), weights={"b.weight": "linear"}, events=("guess",), autograd=False)
class EarlyExit(_Base):
    """The first guess takes the exit that raises; the other answer goes through."""

    def forward(self, x):
        h = self.a(x)
        if h.shape[0] == 2 and not (h.abs() < -1).any() and not (h > 1e9).any():
            return self.b(h)
        raise RuntimeError("did not converge")


@case(row(2, 8), weights={"b.weight": "linear"}, autograd=False)
class WrongGuessIsTurned(_Base):
    def forward(self, x):
        h = self.a(x)
        if (h.sum() * 0 == 0).item():
            return self.b(h)
        raise RuntimeError("the sum of nothing is not zero")


@case(row(3, 8), weights={"b.weight": "linear"})
class PythonLoopOverRows(_Base):
    def forward(self, x):
        return torch.stack([self.b(torch.relu(self.a(r))) for r in x])


@case(row(2, 8), weights={"a.weight": "linear"})
class BranchOnShape(_Base):
    def forward(self, x):
        return self.b(self.a(x)) if x.shape[-1] == 8 and x.ndim == 2 else x


@case(row(2, 8), weights={"b.weight": "linear"}, unreached=("a.weight", "a.bias"))
class BranchOnTraining(_Base):
    def forward(self, x):
        return self.b(x) if self.training else self.b(self.a(x))


@case(row(2, 8), weights={"b.weight": "linear"}, autograd=False)
class StochasticSkip(_Base):
    """Layer drop: the layer takes part whatever the dice say."""

    def forward(self, x):
        h = x if torch.rand([]) < 0.5 else self.a(x)
        return self.b(h)


@case(row(4, 8), weights={"b.weight": "linear"}, autograd=False)
class MaskedSelect(_Base):
    def forward(self, x):
        h = self.a(x)
        picked = torch.masked_select(h, h > -1e9)
        return self.b(picked[:8].reshape(1, 8)) if picked.numel() >= 8 else self.b(h)


@case(row(2, 8), weights={"a.weight": "linear"}, autograd=False)
class WhereIndices(_Base):
    def forward(self, x):
        rows, columns = torch.where(self.a(x) > -1e9)
        return self.b(F.one_hot(columns % 8, 8).float()[: rows.numel()]) + self.a(x).sum()


@case(row(2, 8), weights={"b.weight": "linear"})
class FormattedAndPrinted(_Base):
    def forward(self, x):
        h = self.a(x)
        f"{h.mean()} {h!r} {float(h.sum()):.3f}"
        return self.b(h)
