"""Faults planted into models are found by the rule that should; their healthy twins raise no error and not it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.report import Report


def mlp(activation: type[nn.Module] = nn.ReLU, width: int = 32, depth: int = 2) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(16, width), activation()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def dead_relu(fault: bool) -> nn.Module:
    model = mlp()
    if fault:
        nn.init.constant_(model[2].bias, -10.0)
    return model


def saturated_tanh(fault: bool) -> nn.Module:
    model = mlp(nn.Tanh, width=64)
    if fault:
        nn.init.normal_(model[2].weight, std=10.0)
    return model


class Recurrent(nn.Module):
    def __init__(self, gain: float) -> None:
        super().__init__()
        self.rnn = nn.RNN(16, 64, nonlinearity="relu", batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Branches(nn.Module):
    def __init__(self, change: Callable[[torch.Tensor], torch.Tensor], width: int = 32) -> None:
        super().__init__()
        self.stem, self.side = nn.Linear(16, width), nn.Linear(width, width)
        self.head, self.change = nn.Linear(width, 10), change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        return self.head(x + self.change(self.side(x)))


def frozen(fault: bool) -> nn.Module:
    model = mlp(width=64, depth=3)
    if fault:
        model[2].requires_grad_(False)
    return model


def two_zero_layers(fault: bool) -> nn.Module:
    """A zero head wakes up; a zero head on a zero layer never does."""
    model = mlp(nn.Tanh)
    for layer in (model[2], model[4]) if fault else (model[4],):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return model


def symmetric(fault: bool) -> nn.Module:
    model = mlp()
    if fault:
        for layer in (model[0], model[2], model[4]):
            nn.init.constant_(layer.weight, 0.05)
            nn.init.zeros_(layer.bias)
    return model


def encoder(fault: bool) -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, norm_first=not fault, batch_first=True)
    stack = nn.TransformerEncoder(layer, 100 if fault else 6, nn.LayerNorm(16), enable_nested_tensor=False)
    for block in stack.layers:
        for parameter in block.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
    return nn.Sequential(stack, nn.Linear(16, 10))


def batch_norm(fault: bool) -> nn.Module:
    return nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))


def half(x: torch.Tensor) -> torch.Tensor:
    return (x.half() * 2000).square().float()


VECTOR: tuple[int, ...] = (16, 16)
SEQUENCE = (8, 30, 16)

FAULTS: dict[str, tuple[Callable[[bool], nn.Module], str, str, tuple[int, ...], tuple[int, ...]]] = {
    # name: (model by whether it is faulty, rule, subject, input of the faulty one, of the healthy one)
    "dead relu": (dead_relu, "IA615", "2", VECTOR, VECTOR),
    "saturated tanh": (saturated_tanh, "IA617", "2", VECTOR, VECTOR),
    "exploding recurrent": (lambda f: Recurrent(2.0 if f else 1.0), "IA612", "", SEQUENCE, SEQUENCE),
    "detached branch": (
        lambda f: Branches((lambda x: x.detach()) if f else (lambda x: x)), "IA604", "side.weight", VECTOR, VECTOR,
    ),
    "frozen layer": (frozen, "IA606", "2", VECTOR, VECTOR),
    "zero head on a zero layer": (two_zero_layers, "IA603", "2", VECTOR, VECTOR),
    "log(0)": (
        lambda f: Branches(lambda x: (x.relu() if f else x.relu() + 1e-3).log()), "IA601", "", VECTOR, VECTOR,
    ),
    "slope of sqrt(0)": (
        lambda f: Branches(lambda x: (x * 0 if f else x).square().sqrt()), "IA601", "", VECTOR, VECTOR,
    ),
    "half overflow": (lambda f: Branches(half if f else lambda x: x.half().float()), "IA601", "", VECTOR, VECTOR),
    "symmetric weights": (symmetric, "IA629", "2", VECTOR, VECTOR),
    "post-norm of 100 layers": (encoder, "IA621", "", (4, 8, 16), (4, 8, 16)),
    "batch norm of one sample": (batch_norm, "IA630", "1", (1, 16), VECTOR),
}  # fmt: skip


def probed(model: nn.Module, shape: tuple[int, ...], **options: Any) -> Report:
    return initadvisor.probe(model, input_shape=shape, **options)


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_where_it_is(name: str) -> None:
    make, rule, subject, shape, _ = FAULTS[name]
    torch.manual_seed(0)
    found = {(f.rule, f.subject.name) for f in probed(make(True), shape).findings}
    assert (rule, subject) in found


@pytest.mark.parametrize("name", FAULTS)
def test_the_healthy_twin_is_silent(name: str) -> None:
    make, rule, _, _, shape = FAULTS[name]
    torch.manual_seed(0)
    report = probed(make(False), shape)
    assert report.verdict in ("clean", "findings")
    assert rule not in {f.rule for f in report.findings}
    assert not [f for f in report.findings if f.severity == "error"]


@pytest.mark.parametrize(
    ("name", "operator", "module", "phase"),
    [
        ("log(0)", "log", "", "forward"),
        ("slope of sqrt(0)", "sqrt", "", "backward"),
        ("half overflow", "square", "", "forward"),
    ],
)
def test_the_operator_that_made_the_first_nan_is_named(name: str, operator: str, module: str, phase: str) -> None:
    make, _, _, shape, _ = FAULTS[name]
    torch.manual_seed(0)
    record = probed(make(True), shape).probe
    assert record is not None
    seen = {key: record["model"][f"nonfinite_{key}"] for key in ("op", "at", "phase", "step")}
    assert seen == {"op": operator, "at": module, "phase": phase, "step": 0}


def test_a_bad_weight_and_a_bad_batch_are_told_from_operators() -> None:
    model = mlp()
    with torch.no_grad():
        model[2].weight[3, 3] = float("nan")
    record = probed(model, VECTOR).probe
    assert record is not None
    assert (record["model"]["nonfinite_phase"], record["model"]["nonfinite_op"]) == ("parameter", "2.weight")
    batch = torch.randn(16, 16)
    batch[0, 0] = float("inf")
    record = initadvisor.probe(mlp(), batch).probe
    assert record is not None
    assert record["model"]["nonfinite_phase"] == "batch"


def test_masks_of_minus_infinity_are_no_fault() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = layer, nn.Linear(16, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
            return self.head(self.layer(x, src_mask=mask))

    assert "IA601" not in {f.rule for f in probed(Causal(), (4, 6, 16)).findings}


class Gated(nn.Module):
    """A ReZero residual stack behind a zero head: three steps wake it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(16, 32), nn.Linear(32, 10)
        self.branches = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))
        self.gates = nn.Parameter(torch.zeros(4))
        nn.init.zeros_(self.head.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for gate, branch in zip(self.gates, self.branches, strict=True):
            x = x + gate * torch.tanh(branch(x))
        return self.head(x)


class LowRank(nn.Module):
    """A frozen layer with a low-rank pair beside it, of which one half is zero (LoRA)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(16, 16), nn.Linear(16, 10)
        self.a, self.b = nn.Linear(16, 4, bias=False), nn.Linear(4, 16, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.stem(x) + self.b(self.a(x))))


@pytest.mark.parametrize("make", [Gated, LowRank])
def test_what_a_zero_gates_is_healthy_once_it_wakes_up(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    report = probed(make(), VECTOR)
    assert report.probe is not None
    assert report.probe["model"]["zero_at_first"] > 0.02
    assert report.probe["model"]["asleep_share"] == 0.0
    assert not [f for f in report.findings if f.severity == "error"]
