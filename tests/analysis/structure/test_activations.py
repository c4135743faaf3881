"""The function that consumes a layer's output, named or written out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from graphs import activation, by_name, recorded, spans
from torch import nn
from torch.nn import functional as F

Function = Callable[[torch.Tensor], torch.Tensor]

FUNCTIONS: dict[str, tuple[Function, str]] = {
    "relu": (F.relu, "relu"),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), "leaky_relu"),
    "relu as maximum": (lambda x: torch.maximum(x, torch.zeros(())), "relu"),
    "relu as clamp": (lambda x: x.clamp(min=0), "relu"),
    "relu6 as clamp": (lambda x: x.clamp(0, 6), "relu6"),
    "gelu": (F.gelu, "gelu"),
    "gelu by erf": (lambda x: 0.5 * x * (1.0 + torch.erf(x / 2**0.5)), "gelu"),
    "gelu by tanh": (lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x.pow(3)))), "gelu"),
    "quick gelu": (lambda x: x * torch.sigmoid(1.702 * x), "quick_gelu"),
    "silu": (lambda x: x * torch.sigmoid(x), "silu"),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), "mish"),
    "hardswish": (lambda x: x * F.relu6(x + 3) / 6, "hardswish"),
    "squared relu": (lambda x: F.relu(x).square(), "squared_relu"),
    "tanh": (torch.tanh, "tanh"),
    "softsign": (lambda x: x / (1 + x.abs()), "softsign"),
    "sine": (lambda x: torch.sin(30 * x), "sin"),
    "none": (lambda x: x, "linear"),
    "scaled": (lambda x: 0.5 * x, "linear"),
    "scaled before": (lambda x: F.relu(0.5 * x), "relu"),
    "through dropout and a view": (lambda x: F.dropout(F.relu(x.unflatten(-1, (2, 6))).flatten(1), 0.5), "relu"),
}


class Between(nn.Module):
    """A function between two layers."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.first, self.second, self.function = nn.Linear(8, 12), nn.Linear(12, 4), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.function(self.first(x)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_function_is_recognised_however_it_is_written(name: str) -> None:
    function, expected = FUNCTIONS[name]
    layers = by_name(recorded(Between(function), torch.zeros(2, 8)))
    assert activation(layers["first"]) == expected
    assert activation(layers["second"]) == "linear"


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in ("sine", "through dropout and a view")])
def test_its_moments_are_those_of_the_function(name: str) -> None:
    function, _ = FUNCTIONS[name]
    found = by_name(recorded(Between(function), torch.zeros(2, 8)))["first"].activation
    z = torch.linspace(-9, 9, 400_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / (2 * torch.pi) ** 0.5 * (z[1] - z[0])
    assert found is not None
    scale = dict(found.params).get("scale", 1.0) if name == "scaled" else 1.0
    expected = (function(z).square() * density).sum().item()
    if name != "scaled":  # a plain factor is no activation
        assert found.second_moment is not None
        assert scale * found.second_moment == pytest.approx(expected, rel=5e-3)


def test_a_function_that_is_not_known_is_said_to_be_unknown() -> None:
    layers = by_name(recorded(Between(lambda x: torch.sin(x) * torch.exp(-x * x) + 0.3 * x.abs()), torch.zeros(2, 8)))
    found = layers["first"].activation
    assert found is not None
    assert found.name == "unknown"
    assert found.second_moment is not None


def test_a_residual_add_ends_the_search() -> None:
    class Post(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c(F.relu(x + self.b(F.tanh(self.a(x)))))

    layers = by_name(recorded(Post(), torch.zeros(2, 8)))
    assert {n: activation(layers[n]) for n in "abc"} == {"a": "tanh", "b": "linear", "c": "linear"}


def test_parallel_layers_that_are_summed_share_the_activation_of_the_sum() -> None:
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x, self.h, self.out = nn.Linear(8, 6), nn.Linear(7, 6), nn.Linear(6, 2)

        def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
            return self.out(torch.tanh(self.x(x) + self.h(h)))

    layers = by_name(recorded(Cell(), torch.zeros(2, 8), torch.zeros(2, 7)))
    assert activation(layers["x"]) == activation(layers["h"]) == "tanh"


def test_prelu_points_at_its_slope() -> None:
    layers = by_name(recorded(nn.Sequential(nn.Linear(8, 8), nn.PReLU(), nn.Linear(8, 8)), torch.zeros(2, 8)))
    assert (activation(layers["0"]), layers["0"].attrs["slope"], layers["1"].role) == ("prelu", "1", "activation_slope")


class Gated(nn.Module):
    """A gated linear unit with the two projections apart."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(8, 24), nn.Linear(8, 24), nn.Linear(24, 8)
        self.norm, self.function = nn.LayerNorm(8), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        return x + self.down(self.function(self.gate(y)) * self.up(y))


@pytest.mark.parametrize(
    ("function", "name"), [(F.silu, "silu"), (F.gelu, "gelu"), (lambda x: x * torch.sigmoid(x), "silu")]
)
def test_the_gate_carries_the_function(function: Function, name: str) -> None:
    layers = by_name(recorded(Gated(function), torch.zeros(2, 8)))
    gate, up = layers["gate"].activation, layers["up"].activation
    assert gate is not None
    assert up is not None
    assert (gate.name, gate.gated, up.name, up.gated) == (name, True, "linear", False)
    assert {n: layers[n].role for n in ("gate", "up", "down")} == {"gate": "gate", "up": "mlp_in", "down": "mlp_out"}
    behind = layers["down"].attrs["behind_gate"]
    assert behind.name == name


@pytest.mark.parametrize("order", ["gate first", "gate last", "glu"])
def test_a_fused_gate_is_split_into_blocks(order: str) -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fused, self.down = nn.Linear(8, 48), nn.Linear(24, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.fused(x)
            if order == "glu":
                return x + self.down(F.glu(y, -1))
            a, b = y.chunk(2, -1)
            return x + self.down(F.silu(a) * b if order == "gate first" else a * F.silu(b))

    fused = by_name(recorded(Fused(), torch.zeros(2, 8)))["fused"]
    names = ["gate", "up"] if order == "gate first" else ["up", "gate"]
    assert fused.role == "gate_up"
    assert spans(fused) == [(names[0], 0, 24), (names[1], 24, 48)]
    assert fused.fan_out == 24


def test_squeeze_excite_does_not_hide_the_activation_of_the_features() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv2d(4, 16, 3, padding=1), nn.Conv2d(16, 4, 1)
            self.down, self.up = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = F.silu(self.conv(x))
            gate = torch.sigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(y, 1)))))
            return self.out(gate * y)

    layers = by_name(recorded(Block(), torch.zeros(1, 4, 8, 8)))
    assert layers["conv"].activation is not None
    assert (layers["conv"].activation.name, layers["conv"].activation.gated) == ("silu", False)
    assert layers["up"].activation is not None
    assert (layers["up"].activation.name, layers["up"].activation.gated) == ("sigmoid", True)
    assert layers["down"].role == layers["up"].role == "squeeze_excite"
