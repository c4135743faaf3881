"""The architectures. Each takes the features of a data set, (samples, features), and gives its outputs."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "hardtanh": nn.Hardtanh,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "linear": nn.Identity,
}

SIDE = 8
"""The digits are images of 8 by 8."""


def flat_norm(name: str, width: int) -> nn.Module:
    """A norm over (samples, width)."""
    if name == "batch":
        return nn.BatchNorm1d(width)
    if name == "layer":
        return nn.LayerNorm(width)
    return nn.GroupNorm(4, width) if name == "group" else nn.Identity()


def map_norm(name: str, width: int) -> nn.Module:
    """A norm over (samples, width, height, width)."""
    if name == "batch":
        return nn.BatchNorm2d(width)
    if name == "layer":
        return nn.GroupNorm(1, width)
    return nn.GroupNorm(4, width) if name == "group" else nn.Identity()


class Scaled(nn.Module):
    """Outputs times a fixed factor: a temperature that was forgotten."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


TAILS = {
    "none": nn.Identity,
    "softmax": lambda: nn.Softmax(-1),
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "x1000": lambda: Scaled(1000.0),
    "x0.001": lambda: Scaled(0.001),
}


class Step(nn.Module):
    """Linear, norm, activation; the input is added where the widths agree and a residual is asked for."""

    def __init__(self, before: int, width: int, activation: str, norm: str, residual: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(before, width)
        self.norm = flat_norm(norm, width)
        self.act = ACTIVATIONS[activation]()
        self.residual = residual and before == width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.act(self.norm(self.linear(x)))
        return x + y if self.residual else y


class MLP(nn.Module):
    """`depth` hidden layers and a head; `squeeze` units in the middle one where that is not 0."""

    def __init__(
        self,
        features: int,
        outputs: int,
        depth: int,
        width: int,
        activation: str,
        norm: str,
        residual: bool,
        squeeze: int,
    ) -> None:
        super().__init__()
        widths = [width] * depth
        if squeeze:
            widths[depth // 2] = squeeze
        pairs = pairwise([features, *widths])
        self.body = nn.Sequential(*(Step(b, w, activation, norm if w > 3 else "none", residual) for b, w in pairs))
        self.head = nn.Linear(widths[-1], outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class Autoencoder(nn.Module):
    """Down to `squeeze` units in half of the layers and up again in the other half."""

    def __init__(
        self,
        features: int,
        outputs: int,
        depth: int,
        width: int,
        activation: str,
        norm: str,
        residual: bool,
        squeeze: int,
    ) -> None:
        super().__init__()
        half = [width] * max(depth // 2, 1)
        code = squeeze or 16
        self.encoder = nn.Sequential(*(Step(b, w, activation, norm, residual) for b, w in pairwise([features, *half])))
        self.code = nn.Linear(half[-1], code)
        self.decoder = nn.Sequential(*(Step(b, w, activation, norm, residual) for b, w in pairwise([code, *half])))
        self.head = nn.Linear(half[-1], outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.decoder(self.code(self.encoder(x))))


class ConvStep(nn.Module):
    """Convolution, norm, activation."""

    def __init__(self, before: int, width: int, stride: int, activation: str, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, width, 3, stride, 1)
        self.norm = map_norm(norm, width)
        self.act = ACTIVATIONS[activation]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.norm(self.conv(x)))


class CNN(nn.Module):
    """`depth` convolutions on maps of 4 by 4, then the whole map to the head."""

    def __init__(self, outputs: int, depth: int, width: int, activation: str, norm: str) -> None:
        super().__init__()
        steps = [ConvStep(1, width, 2, activation, norm)]
        steps += [ConvStep(width, width, 1, activation, norm) for _ in range(depth - 1)]
        self.body = nn.Sequential(*steps)
        self.head = nn.Linear(width * (SIDE // 2) ** 2, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x.unflatten(1, (1, SIDE, SIDE))).flatten(1))


class Block(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, width: int, activation: str, norm: str) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, 1, 1), map_norm(norm, width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, 1, 1), map_norm(norm, width)
        self.act = ACTIVATIONS[activation]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.norm2(self.conv2(self.act(self.norm1(self.conv1(x))))))


class ResNet(nn.Module):
    """A stem, `depth` blocks on maps of 4 by 4, mean over the map, a head."""

    def __init__(self, outputs: int, depth: int, width: int, activation: str, norm: str) -> None:
        super().__init__()
        self.stem = ConvStep(1, width, 2, activation, norm)
        self.body = nn.Sequential(*(Block(width, activation, norm) for _ in range(depth)))
        self.head = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.stem(x.unflatten(1, (1, SIDE, SIDE)))).mean((2, 3)))


class Recurrent(nn.Module):
    """RNN or LSTM over the rows of a digit (8 steps of 8) or its half rows (16 of 4); the last state goes to the head.

    `unrolled`: the same computation in single steps, which vmap can take.
    """

    def __init__(self, kind: str, outputs: int, layers: int, width: int, activation: str, steps: int) -> None:
        super().__init__()
        self.steps, self.kind, self.unrolled = steps, kind, False
        features = SIDE * SIDE // steps
        if kind == "lstm":
            self.rnn: nn.RNNBase = nn.LSTM(features, width, layers, batch_first=True)
        else:
            self.rnn = nn.RNN(features, width, layers, batch_first=True, nonlinearity=activation)
        self.activation = activation
        self.head = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.unflatten(1, (self.steps, -1))
        if not self.unrolled:
            return self.head(self.rnn(x)[0][:, -1])
        for layer in range(self.rnn.num_layers):
            x = self._layer(x, layer)
        return self.head(x[:, -1])

    def _layer(self, x: torch.Tensor, layer: int) -> torch.Tensor:
        w, u, b, c = (getattr(self.rnn, f"{n}_l{layer}") for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        driven = x @ w.T + (b + c)
        state = x.new_zeros(x.shape[0], u.shape[1])
        cell, states = state, []
        for t in range(self.steps):
            z = driven[:, t] + state @ u.T
            if self.kind == "lstm":
                i, f, g, o = z.chunk(4, 1)
                cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
                state = torch.sigmoid(o) * torch.tanh(cell)
            else:
                state = torch.tanh(z) if self.activation == "tanh" else torch.relu(z)
            states.append(state)
        return torch.stack(states, 1)


class Attention(nn.Module):
    """Self-attention of two heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (part(x).unflatten(-1, (2, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        weights = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention and an MLP beside the residual stream; the norm before, after, or nowhere."""

    def __init__(self, width: int, activation: str, norm: str) -> None:
        super().__init__()
        self.after = norm == "post"
        self.norm1, self.norm2 = (nn.LayerNorm(width) if norm != "none" else nn.Identity() for _ in range(2))
        self.attention = Attention(width)
        self.up, self.act, self.down = (
            nn.Linear(width, 2 * width),
            ACTIVATIONS[activation](),
            nn.Linear(2 * width, width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.after:
            x = self.norm1(x + self.attention(x))
            return self.norm2(x + self.down(self.act(self.up(x))))
        x = x + self.attention(self.norm1(x))
        return x + self.down(self.act(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """The rows of a digit as 8 tokens of 8, `depth` blocks, mean over the tokens, a head."""

    def __init__(self, outputs: int, depth: int, width: int, activation: str, norm: str) -> None:
        super().__init__()
        self.embed = nn.Linear(SIDE, width)
        self.position = nn.Parameter(torch.randn(SIDE, width) * 0.02)
        self.blocks = nn.Sequential(*(TransformerBlock(width, activation, norm) for _ in range(depth)))
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(x.unflatten(1, (SIDE, SIDE))) + self.position
        return self.head(self.norm(self.blocks(tokens)).mean(1))
