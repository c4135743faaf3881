"""One operator family at a time: closed forms, and float64 runs where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.analysis.signal.running import both, predict


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.function(*inputs)


def q_of(function: Callable[..., torch.Tensor], *shape: int) -> float:
    return predict(Apply(function), torch.randn(*shape)).output


def normal_(layer: nn.Module, std: float) -> nn.Module:
    for p in layer.parameters():
        nn.init.normal_(p, std=std)
    return layer


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x + x, 4.0),
        (lambda x: x - x, 0.0),
        (lambda x: x * x, 3.0),
        (lambda x: x + torch.relu(x), 2.5),
        (lambda x: x - torch.relu(x), 0.5),
        (lambda x: x * torch.sigmoid(x), 0.3557755),
        (lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))), 0.4252215),
        (lambda x: x * torch.tanh(F.softplus(x)), 0.4523421),
        (lambda x: torch.relu(torch.relu(x)), 0.5),
        (lambda x: 3 * x + 2, 13.0),
        (lambda x: 1 - x, 2.0),
        (lambda x: x.clamp(-1, 1), 0.5160586),
        (lambda x: x.abs().sqrt(), math.sqrt(2 / math.pi)),
        (lambda x: x.pow(3), 15.0),
        (lambda x: F.gelu(x, approximate="tanh"), 0.4251937),
        (lambda x: x / (1 + x.abs()), 0.1830140),
        (lambda x: torch.where(x > 0, x, 0.1 * x), None),
    ],
)
def test_functions_of_one_value_are_exact_however_they_are_written(
    function: Callable[..., torch.Tensor], expected: float | None
) -> None:
    if expected is None:
        assert predict(Apply(function), torch.randn(4, 8)).run.forward is not None
        return
    assert q_of(function, 4, 8) == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_a_residual_sum_has_no_covariance_with_a_branch_that_ends_in_fresh_weights() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = normal_(nn.Linear(512, 512, bias=False), 1 / math.sqrt(512))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.a(x)

    torch.manual_seed(0)
    predicted = predict(nn.Sequential(*[Block() for _ in range(6)]), torch.randn(2, 512))
    assert predicted.output == pytest.approx(2.0**6, rel=0.02)


def test_a_batch_norm_branch_adds_one_to_the_stream_in_each_block() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.n = nn.Linear(128, 128), nn.BatchNorm1d(128)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.n(self.a(torch.relu(x)))

    predicted = predict(nn.Sequential(*[Block() for _ in range(10)]), torch.randn(64, 128))
    assert predicted.output == pytest.approx(11.0, rel=0.01)


CONVOLUTIONS = {
    "same": lambda: nn.Conv2d(16, 32, 3, padding=1),
    "valid": lambda: nn.Conv2d(16, 32, 3),
    "strided": lambda: nn.Conv2d(16, 32, 3, stride=2, padding=1),
    "grouped": lambda: nn.Conv2d(16, 32, 5, padding=2, groups=4),
    "depthwise": lambda: nn.Conv2d(32, 32, 3, padding=1, groups=32),
    "dilated": lambda: nn.Conv2d(16, 32, 3, padding=2, dilation=2),
    "patches": lambda: nn.Conv2d(16, 32, 4, stride=4),
    "one": lambda: nn.Conv2d(16, 32, 1, stride=2),
    "transposed": lambda: nn.ConvTranspose2d(16, 32, 4, stride=2, padding=1),
    "uneven": lambda: nn.ConvTranspose2d(16, 32, 3, stride=2),
    "wide": lambda: nn.Conv2d(16, 32, 7, padding=3),
}


@pytest.mark.parametrize("name", sorted(CONVOLUTIONS))
def test_convolutions_count_their_padding_forward_and_back(name: str) -> None:
    channels = 32 if name == "depthwise" else 16

    def make() -> nn.Module:
        first = normal_(nn.Conv2d(4, channels, 1), 0.4)
        middle = normal_(CONVOLUTIONS[name](), 0.1)
        return nn.Sequential(first, nn.ReLU(), middle, nn.ReLU(), normal_(nn.Conv2d(32, 8, 1), 0.2))

    predicted, real = both(make, lambda: (torch.randn(4, 4, 12, 12),), seeds=24)
    assert predicted.of("2") == pytest.approx(real.outputs["2"], rel=0.12)
    for parameter in ("0.weight", "2.weight", "2.bias", "4.weight"):
        assert predicted.gradient(parameter) == pytest.approx(real.gradients[parameter], rel=0.35), parameter


NORMS: dict[str, Callable[[], nn.Module]] = {
    "batch": lambda: nn.BatchNorm2d(16),
    "layer": lambda: nn.LayerNorm([16, 6, 6]),
    "group": lambda: nn.GroupNorm(4, 16),
    "instance": lambda: nn.InstanceNorm2d(16, affine=True),
}


@pytest.mark.parametrize("name", sorted(NORMS))
def test_norms_forward_and_back(name: str) -> None:
    def make() -> nn.Module:
        return nn.Sequential(
            normal_(nn.Conv2d(8, 16, 3, padding=1), 0.3),
            nn.ReLU(),
            normal_(nn.Conv2d(16, 16, 1), 0.5),
            NORMS[name](),
            nn.ReLU(),
            normal_(nn.Conv2d(16, 8, 1), 0.3),
        )

    predicted, real = both(make, lambda: (torch.randn(8, 8, 6, 6),), seeds=16)
    assert predicted.of("3") == pytest.approx(real.outputs["3"], rel=0.03)
    for parameter in ("0.weight", "2.weight", "5.weight"):
        assert predicted.gradient(parameter) == pytest.approx(real.gradients[parameter], rel=0.35), parameter


def test_a_batch_norm_in_eval_mode_uses_its_running_statistics() -> None:
    norm = nn.BatchNorm1d(32)
    assert norm.running_var is not None
    norm.running_var.fill_(4.0)
    assert predict(norm.eval(), torch.randn(16, 32)).output == pytest.approx(0.25, rel=1e-3)


POOLS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "max": lambda x: F.max_pool2d(torch.relu(x), 2),
    "max overlapping": lambda x: F.max_pool2d(torch.relu(x), 3, 2, 1),
    "average": lambda x: F.avg_pool2d(torch.relu(x), 2),
    "average of all": lambda x: F.adaptive_avg_pool2d(torch.relu(x), 1),
    "mean": lambda x: torch.relu(x).mean(dim=(2, 3)),
    "sum": lambda x: torch.relu(x).sum(dim=1),
    "nearest": lambda x: F.interpolate(torch.relu(x), scale_factor=2),
    "flat": lambda x: torch.relu(x).flatten(1),
    "pad": lambda x: F.pad(torch.relu(x), (1, 1, 1, 1)),
    "concatenate": lambda x: torch.cat([torch.relu(x), 2 * x], dim=1),
    "chunks": lambda x: torch.relu(x).chunk(2, dim=1)[0],
    "slices": lambda x: torch.relu(x)[:, ::2, 1:5],
    "amax": lambda x: x.amax(dim=(2, 3)),
    "variance": lambda x: x.var(dim=1),
    "glu": lambda x: F.glu(x, dim=1),
    "softmax": lambda x: x.softmax(dim=1),
    "normalize": lambda x: F.normalize(x, dim=1),
    "shuffle": lambda x: F.pixel_shuffle(x, 2),
}


@pytest.mark.parametrize("name", sorted(POOLS))
def test_reductions_and_shapes(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 16, 8, 8, dtype=torch.float64)
    expected = float(POOLS[name](x).square().mean())
    assert predict(Apply(POOLS[name]), x[:4]).output == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("gate", ["gelu", "silu", "sigmoid", "relu"])
def test_gated_products_multiply_second_moments(gate: str) -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = normal_(nn.Linear(256, 256, bias=False), 1 / 16)
            self.up = normal_(nn.Linear(256, 256, bias=False), 1 / 16)
            self.down = normal_(nn.Linear(256, 64, bias=False), 1 / 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            function = torch.sigmoid if gate == "sigmoid" else getattr(F, gate)
            return self.down(function(self.gate(x)) * self.up(x))

    predicted, real = both(Gated, lambda: (torch.randn(32, 256),), seeds=8)
    assert predicted.output == pytest.approx(real.output, rel=0.08)
    for name in ("gate.weight", "up.weight", "down.weight"):
        assert predicted.gradient(name) == pytest.approx(real.gradients[name], rel=0.12), name


class Decoder(nn.Module):
    """Token and position embedding, and attention with a stream around it."""

    def __init__(self, *, causal: bool, fused: bool) -> None:
        super().__init__()
        self.causal, self.fused = causal, fused
        self.token, self.place = nn.Embedding(200, 128), nn.Embedding(24, 128)
        self.norm = nn.LayerNorm(128)
        self.qkv = normal_(nn.Linear(128, 384, bias=False), 1 / math.sqrt(128))
        self.out = normal_(nn.Linear(128, 128, bias=False), 1 / math.sqrt(128))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.token(ids) + self.place(torch.arange(ids.shape[1]))
        q, k, v = (part.unflatten(-1, (4, 32)).transpose(1, 2) for part in self.qkv(self.norm(x)).split(128, dim=-1))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            y = ((q @ k.transpose(-2, -1)) / math.sqrt(32)).softmax(-1) @ v
        return x + self.out(y.transpose(1, 2).flatten(2))


@pytest.mark.parametrize(("causal", "fused"), [(False, False), (False, True), (True, True)])
def test_attention_forward_and_back(causal: bool, fused: bool) -> None:
    def make() -> nn.Module:
        return Decoder(causal=causal, fused=fused)

    def draw() -> tuple[torch.Tensor]:
        return (torch.randint(0, 200, (4, 24)),)

    predicted, real = both(make, draw, seeds=16)
    assert all(d.run.unknown == {} for d in predicted.draws)
    assert predicted.of("out") == pytest.approx(real.outputs["out"], rel=0.12)
    for name in ("qkv.weight", "out.weight", "token.weight", "place.weight"):
        assert predicted.gradient(name) == pytest.approx(real.gradients[name], rel=0.35), name


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize(("layers", "both_ways"), [(1, False), (2, False), (1, True)])
def test_recurrent_layers(kind: type[nn.RNNBase], layers: int, both_ways: bool) -> None:
    def make() -> nn.Module:
        return kind(64, 128, num_layers=layers, bidirectional=both_ways, batch_first=True)

    predicted, real = both(make, lambda: (torch.randn(4, 24, 64),), seeds=4)
    assert predicted.output == pytest.approx(real.output, rel=0.06)
    for name in real.gradients:
        # a bias collects one sum over all steps: fewer independent terms than a matrix
        tolerance = 0.1 if name.startswith("weight") else 0.35
        assert predicted.gradient(name) == pytest.approx(real.gradients[name], rel=tolerance), name


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_one_step_of_a_recurrent_cell(kind: Callable[..., nn.Module]) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = kind(64, 128)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = self.cell(x)
            state = self.cell(x.flip(0), state)
            return state[0] if isinstance(state, tuple) else state

    predicted, real = both(Twice, lambda: (torch.randn(16, 64),), seeds=8)
    assert predicted.output == pytest.approx(real.output, rel=0.1)
    for name in ("cell.weight_ih", "cell.weight_hh"):
        assert predicted.gradient(name) == pytest.approx(real.gradients[name], rel=0.35), name


def test_weights_with_a_mean_add_up_coherently() -> None:
    def make() -> nn.Module:
        layer = nn.Linear(200, 300, bias=False)
        nn.init.normal_(layer.weight, mean=0.05, std=0.05)
        return nn.Sequential(nn.ReLU(), layer)

    predicted, real = both(make, lambda: (torch.randn(4096, 200),), seeds=4)
    assert predicted.output == pytest.approx(real.output, rel=0.02)
