"""Norms as one operator and written out, with the scale and shift behind them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from graphs import Sketch, activation, by_name, recorded
from torch import nn
from torch.nn import functional as F

WIDTH = 16


class Written(nn.Module):
    """Layer normalization in elementary operators, in one of several spellings."""

    def __init__(self, spelling: Callable[[torch.Tensor], torch.Tensor], bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))
        self.bias = nn.Parameter(torch.zeros(WIDTH)) if bias else None
        self.spelling = spelling

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.weight * self.spelling(x)
        return y if self.bias is None else y + self.bias


def _mean(x: torch.Tensor) -> torch.Tensor:
    return x.mean(-1, keepdim=True)


LAYER: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "pow, sqrt, div": lambda x: (x - _mean(x)) / torch.sqrt(_mean((x - _mean(x)).pow(2)) + 1e-6),
    "var, rsqrt, mul": lambda x: (x - _mean(x)) * torch.rsqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-6),
    "std + eps": lambda x: (x - _mean(x)) / (x.std(-1, keepdim=True) + 1e-6),
    "x * x, pow -0.5": lambda x: (x - _mean(x)) * (_mean((x - _mean(x)) * (x - _mean(x))) + 1e-6).pow(-0.5),
}
RMS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "pow, rsqrt": lambda x: x * torch.rsqrt(_mean(x.pow(2)) + 1e-6),
    "square, sqrt, div": lambda x: x / torch.sqrt(_mean(x.square()) + 1e-6),
    "1 / sqrt": lambda x: x * (1.0 / torch.sqrt(_mean(x * x) + 1e-6)),
    "through a cast": lambda x: (x.double() * torch.rsqrt(x.double().pow(2).mean(-1, keepdim=True) + 1e-6)).float(),
}


def _between(norm: nn.Module) -> dict[str, object]:
    model = nn.Sequential()
    model.add_module("first", nn.Linear(WIDTH, WIDTH))
    model.add_module("norm", norm)
    model.add_module("second", nn.Linear(WIDTH, WIDTH))
    return by_name(recorded(model, torch.zeros(2, WIDTH)))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("spelling", "op", "bias"),
    [(s, "layer_norm", True) for s in LAYER] + [(s, "rms_norm", False) for s in RMS],
)
def test_a_written_out_norm_is_one_layer(spelling: str, op: str, bias: bool) -> None:
    layers = _between(Written((LAYER | RMS)[spelling], bias))
    norm, first, second = (layers[n] for n in ("norm", "first", "second"))
    assert (norm.kind, norm.op, norm.weight) == ("norm", op, "norm.weight")  # type: ignore[attr-defined]
    assert norm.bias == ("norm.bias" if bias else None)  # type: ignore[attr-defined]
    assert (first.norm_after, first.scale_invariant) == ("norm", True)  # type: ignore[attr-defined]
    assert second.norm_before == "norm"  # type: ignore[attr-defined]
    assert norm.attrs["eps"] == pytest.approx(1e-6)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("norm", "op"),
    [
        (nn.LayerNorm(WIDTH), "layer_norm"),
        (nn.RMSNorm(WIDTH), "rms_norm"),
        (nn.LayerNorm(WIDTH, elementwise_affine=False), "layer_norm"),
    ],
)
def test_a_norm_without_parameters_is_a_layer_too(norm: nn.Module, op: str) -> None:
    layers = _between(norm)
    assert layers["norm"].op == op  # type: ignore[attr-defined]
    assert layers["first"].norm_after == "norm"  # type: ignore[attr-defined]


def test_a_zero_centred_scale_is_known_by_its_offset() -> None:
    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(WIDTH))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * (1.0 + self.weight)

    assert _between(Centred())["norm"].attrs["weight_offset"] == 1.0  # type: ignore[attr-defined]


def test_l2_normalization_erases_the_scale_and_leaves_the_temperature_alone() -> None:
    class Cosine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project = nn.Linear(8, WIDTH)
            self.classes = nn.Parameter(torch.zeros(5, WIDTH))
            self.temperature = nn.Parameter(torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.project(x)
            y = y / y.norm(dim=-1, keepdim=True)
            return self.temperature.exp() * (y @ F.normalize(self.classes, dim=-1).t())

    layers = by_name(recorded(Cosine(), torch.zeros(3, 8)))
    assert layers["project"].scale_invariant
    assert layers["classes"].scale_invariant
    assert layers["temperature"].role == "logit_scale"


def test_batch_norm_keeps_its_running_statistics_and_absorbs_the_bias_before_it() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1))
    layers = by_name(recorded(model, torch.zeros(2, 3, 8, 8)))
    assert (layers["1"].attrs["running_mean"], layers["1"].attrs["channels"]) == ("1.running_mean", 8)
    assert (layers["0"].norm_after, activation(layers["0"]), activation(layers["1"])) == ("1", "relu", "relu")
    assert layers["3"].norm_before is None  # the ReLU lies between
    assert layers["3"].attrs["input_norm"] == "1"


def test_a_group_norm_that_an_exporter_wrote_as_instance_norm() -> None:
    sketch = Sketch()
    x = sketch.input(2, 8, 4, 4)
    y = sketch.add("conv", [x, sketch.parameter("conv.weight", 8, 8, 1, 1)], (2, 8, 4, 4), scope="conv")
    y = sketch.add("reshape", [y], (2, 4, 32), scope="norm")
    ones, zeros = sketch.constant([1.0] * 4), sketch.constant([0.0] * 4)
    y = sketch.add("instance_norm", [y, ones, zeros], (2, 4, 32), scope="norm", eps=1e-5)
    y = sketch.add("reshape", [y], (2, 8, 4, 4), scope="norm")
    y = sketch.add("mul", [y, sketch.parameter("norm.weight", 8, 1, 1)], (2, 8, 4, 4), scope="norm")
    y = sketch.add("add", [y, sketch.parameter("norm.bias", 8, 1, 1)], (2, 8, 4, 4), scope="norm")
    layers = sketch.done(y)
    assert (layers["norm"].op, layers["norm"].groups, layers["norm"].bias) == ("group_norm", 4, "norm.bias")
    assert layers["conv"].scale_invariant


def test_a_norm_behind_a_concatenation_erases_one_part_only_channel_by_channel() -> None:
    class Joined(nn.Module):
        def __init__(self, norm: nn.Module) -> None:
            super().__init__()
            self.a, self.b, self.norm = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), norm

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(torch.cat((self.a(x), self.b(x)), 1))

    x = torch.zeros(2, 4, 6, 6)
    assert by_name(recorded(Joined(nn.BatchNorm2d(8)), x))["a"].scale_invariant
    assert not by_name(recorded(Joined(nn.GroupNorm(1, 8)), x))["a"].scale_invariant


def test_scale_erased_reaches_through_relu_and_no_further() -> None:
    for act, expected in ((nn.ReLU(), True), (nn.GELU(), None)):
        model = nn.Sequential(nn.Conv2d(3, 8, 3), act, nn.BatchNorm2d(8))
        first = by_name(recorded(model, torch.zeros(2, 3, 8, 8)))["0"]
        assert not first.scale_invariant
        assert first.attrs.get("scale_erased") is expected
