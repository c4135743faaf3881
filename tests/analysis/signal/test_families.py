"""Every operator family against float64 runs: mean, second moment and cosine ahead, gradients of weights back.

Each operator stands between two fresh linear or convolution layers, so that both what it makes of a signal and what it
hands back are seen. Bounds are a few standard errors of the draws that are averaged.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.analysis.signal.running import Average, Predicted, predict
from tests.analysis.signal.test_operators import Apply, normal_

SEEDS = 10
IMAGE = (8, 32, 8, 8)
ROWS = (32, 96)
TOKENS = (8, 24, 256)


class Between(nn.Module):
    """first, an operator, last; what the operator returns is kept."""

    def __init__(self, shape: tuple[int, ...], inner: nn.Module, last: nn.Module) -> None:
        super().__init__()
        width = shape[1] if len(shape) == 4 else shape[-1]
        first = nn.Conv2d(width, width, 3, padding=1) if len(shape) == 4 else nn.Linear(width, width)
        self.first = normal_(first, 1.3 / (9 * width if len(shape) == 4 else width) ** 0.5)
        self.inner, self.last = inner, last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.inner(self.first(x)))


class Gate(nn.Module):
    def __init__(self, width: int, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.gate, self.up = (
            normal_(nn.Linear(width, width), width**-0.5),
            normal_(nn.Linear(width, width), width**-0.5),
        )
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.gate(x)) * self.up(x)


class SelfAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


def conv(channels: int) -> nn.Module:
    return normal_(nn.Conv2d(channels, 8, 1), 0.3)


def linear(width: int) -> nn.Module:
    return normal_(nn.Linear(width, 32), width**-0.5)


Case = tuple[tuple[int, ...], Callable[[], nn.Module], Callable[[], nn.Module]]
CASES: dict[str, Case] = {
    "identity": (ROWS, nn.Identity, lambda: linear(96)),
    "relu": (ROWS, nn.ReLU, lambda: linear(96)),
    "gelu": (ROWS, nn.GELU, lambda: linear(96)),
    "tanh": (ROWS, nn.Tanh, lambda: linear(96)),
    "sigmoid": (ROWS, nn.Sigmoid, lambda: linear(96)),
    "written silu": (ROWS, lambda: Apply(lambda x: x * torch.sigmoid(x)), lambda: linear(96)),
    "swiglu": (ROWS, lambda: Gate(96, F.silu), lambda: linear(96)),
    "glu": (ROWS, lambda: nn.GLU(dim=-1), lambda: linear(48)),
    "residual": (ROWS, lambda: Apply(lambda x: x + torch.relu(x)), lambda: linear(96)),
    "halves": (ROWS, lambda: Apply(lambda x: torch.cat([torch.relu(x[:, :32]), x[:, 32:]], 1)), lambda: linear(96)),
    "layer norm": (TOKENS, lambda: nn.LayerNorm(256), lambda: linear(256)),
    "rms norm": (TOKENS, lambda: nn.RMSNorm(256), lambda: linear(256)),
    "batch norm": (IMAGE, lambda: nn.BatchNorm2d(32), lambda: conv(32)),
    "group norm": (IMAGE, lambda: nn.GroupNorm(4, 32), lambda: conv(32)),
    "instance norm": (IMAGE, lambda: nn.InstanceNorm2d(32), lambda: conv(32)),
    "convolution": (IMAGE, lambda: normal_(nn.Conv2d(32, 24, 3, 2, 1), 0.06), lambda: conv(24)),
    "transposed": (IMAGE, lambda: normal_(nn.ConvTranspose2d(32, 24, 4, 2, 1), 0.09), lambda: conv(24)),
    "depthwise": (IMAGE, lambda: normal_(nn.Conv2d(32, 32, 5, 1, 2, groups=32), 0.2), lambda: conv(32)),
    "max pool": (IMAGE, lambda: nn.MaxPool2d(2), lambda: conv(32)),
    "average pool": (IMAGE, lambda: nn.AvgPool2d(3, 3), lambda: conv(32)),
    "nearest": (IMAGE, lambda: nn.Upsample(scale_factor=2), lambda: conv(32)),
    "pixel shuffle": (IMAGE, lambda: nn.PixelShuffle(2), lambda: conv(8)),
    "flatten": (IMAGE, lambda: nn.Flatten(), lambda: normal_(nn.Linear(32 * 64, 32), 0.03)),
    "mean of a map": (IMAGE, lambda: Apply(lambda x: torch.relu(x).mean((2, 3))), lambda: linear(32)),
    "attention": (TOKENS, lambda: SelfAttention(256), lambda: linear(256)),
    "softmax": (ROWS, lambda: nn.Softmax(-1), lambda: normal_(nn.Linear(96, 32), 1.0)),
    "permuted": (TOKENS, lambda: Apply(lambda x: torch.relu(x).transpose(1, 2)), lambda: linear(24)),
}


def moments(x: torch.Tensor) -> torch.Tensor:
    """Mean, second moment, mean product of two samples."""
    x = x.detach().double().flatten(1)
    n = len(x)
    across = (x.sum(0).square() - x.square().sum(0)) / (n * (n - 1))
    return torch.stack([x.mean(), x.square().mean(), across.mean()])


@pytest.mark.parametrize("name", sorted(CASES))
def test_mean_second_moment_and_cosine_ahead_and_weight_gradients_back(name: str) -> None:
    shape, inner, last = CASES[name]
    real, gradients, draws = torch.zeros(3, dtype=torch.float64), {}, []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        module = Between(shape, inner(), last())
        x = torch.randn(*shape)
        draws.append(predict(module, x))
        made = module.double()(x.double())
        made.backward(torch.randn_like(made))
        real += moments(made) / SEEDS
        for key in ("first.weight", "last.weight"):
            gradient = module.get_parameter(key).grad
            assert gradient is not None
            gradients[key] = gradients.get(key, 0.0) + float(gradient.square().mean()) / SEEDS
    mean, q, across = (float(v) for v in real)
    assert all(draw.run.unknown == {} for draw in draws)
    assert Average(draws).output == pytest.approx(q, rel=0.12)
    assert _mean(draws) == pytest.approx(mean, abs=0.15 * q**0.5)
    assert _across(draws) / Average(draws).output == pytest.approx(across / q, abs=0.06)
    for key, value in gradients.items():
        assert Average(draws).gradient(key) == pytest.approx(value, rel=0.25), key


def _signal(draw: Predicted) -> tuple[float, float]:
    signal = draw.run.forward[draw.graph.outputs[0]]
    assert signal is not None
    return signal.mean, signal.samples


def _mean(draws: list[Predicted]) -> float:
    return sum(_signal(draw)[0] for draw in draws) / len(draws)


def _across(draws: list[Predicted]) -> float:
    return sum(_signal(draw)[1] for draw in draws) / len(draws)
