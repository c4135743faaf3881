"""From a weight slot back to the parameter, through arrangement and arithmetic."""

from __future__ import annotations

import pytest
import torch
from graphs import Sketch, by_name, recorded, spans
from torch import nn
from torch.nn import functional as F


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_in_either_orientation(transposed: int) -> None:
    sketch = Sketch()
    x = sketch.input(4, 6)
    shape = (10, 6) if transposed else (6, 10)
    y = sketch.add("gemm", [x, sketch.parameter("fc.weight", *shape)], (4, 10), transposed_weight=transposed)
    fc = sketch.done(y)["fc"]
    assert (fc.fan_in, fc.fan_out) == (6, 10)
    assert fc.layout is not None
    assert fc.layout.in_axes == ((1,) if transposed else (0,))


@pytest.mark.parametrize(
    ("op", "attrs"),
    [("permute", {"dims": (1, 0)}), ("transpose", {"dim0": 0, "dim1": 1}), ("matrix_transpose", {})],
)
def test_a_transposed_parameter_keeps_its_stored_axes(op: str, attrs: dict[str, object]) -> None:
    sketch = Sketch()
    x = sketch.input(4, 6)
    turned = sketch.add(op, [sketch.parameter("fc.weight", 10, 6)], (6, 10), **attrs)
    fc = sketch.done(sketch.add("matmul", [x, turned], (4, 10)))["fc"]
    assert fc.layout is not None
    assert (fc.layout.out_axes, fc.layout.in_axes) == ((0,), (1,))
    assert (fc.fan_in, fc.fan_out) == (6, 10)


@pytest.mark.parametrize("op", ["cast", "identity", "dequantize", "dropout"])
def test_casts_and_copies_are_seen_through(op: str) -> None:
    sketch = Sketch()
    x = sketch.input(4, 6)
    weight = sketch.add(op, [sketch.parameter("fc.weight", 10, 6)], (10, 6))
    assert sketch.done(sketch.add("linear", [x, weight], (4, 10)))["fc"].weight == "fc.weight"


def test_slices_of_one_weight_are_its_blocks() -> None:
    sketch = Sketch()
    x = sketch.input(4, 6)
    parts = sketch.add_many("split", [sketch.parameter("fused.weight", 14, 6)], [(10, 6), (4, 6)], dim=0)
    ys = [sketch.add("linear", [x, part], (4, n)) for part, n in zip(parts, (10, 4), strict=True)]
    fused = sketch.done(*ys)["fused"]
    assert spans(fused) == [("0", 0, 10), ("1", 10, 14)]
    assert [b.fan_out for b in fused.blocks] == [10, 4]


def test_parts_joined_before_use_are_layers_of_their_own() -> None:
    sketch = Sketch()
    x = sketch.input(4, 6)
    parts = [sketch.parameter(f"{name}.weight", n, 6) for name, n in (("q", 8), ("k", 2))]
    layers = sketch.done(sketch.add("linear", [x, sketch.add("cat", parts, (10, 6), dim=0)], (4, 10)))
    assert {n: (x.fan_in, x.fan_out) for n, x in layers.items()} == {"q": (6, 8), "k": (6, 2)}


def test_a_signal_that_picks_an_expert_leaves_a_bank_of_matrices() -> None:
    sketch = Sketch()
    x, index = sketch.input(4, 1, 6), sketch.input(4, dtype="int64")
    bank = sketch.parameter("experts", 8, 6, 10)
    picked = sketch.add("index_select", [bank, index], (4, 6, 10), dim=0)
    experts = sketch.done(sketch.add("matmul", [x, picked], (4, 1, 10)))["experts"]
    assert (experts.kind, experts.fan_in, experts.fan_out) == ("linear", 6, 10)
    assert experts.layout is not None
    assert experts.layout.batch_axes == (0,)
    assert spans(experts)[:2] == [("expert.0", 0, 1), ("expert.1", 1, 2)]


def test_one_expert_at_a_time_is_the_same_bank() -> None:
    sketch = Sketch()
    x, bank = sketch.input(4, 6), sketch.parameter("experts", 3, 10, 6)
    ys = [sketch.add("linear", [x, sketch.add("select", [bank], (10, 6), dim=0, index=i)], (4, 10)) for i in range(3)]
    experts = sketch.done(*ys)["experts"]
    assert (experts.fan_in, experts.fan_out, len(experts.blocks)) == (6, 10, 3)


class Reparametrised(nn.Module):
    """The usual ways to compute a weight from parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.new = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3))
        self.spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 6))
        self.standard = nn.Parameter(torch.zeros(8, 8, 3, 3))
        self.gain = nn.Parameter(torch.ones(8, 1, 1, 1))
        self.equalised = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.new(x))
        var, mean = torch.var_mean(self.standard, dim=[1, 2, 3], keepdim=True)
        x = F.conv2d(x, (self.standard - mean) / torch.sqrt(var + 1e-5) * self.gain).mean((2, 3))
        return F.linear(F.relu(self.spectral(x)), self.equalised.weight * 0.25, self.equalised.bias)


def test_reparametrised_weights_lead_back_to_their_parameters() -> None:
    layers = by_name(recorded(Reparametrised(), torch.zeros(2, 3, 12, 12)))
    assert layers["new"].attrs["reparametrised"] == "weight_norm"
    assert (layers["new"].fan_in, layers["new"].role) == (27, "stem")
    assert layers["new.parametrizations.weight.original0"].role == "weight_gain"
    assert not layers["new"].scale_invariant  # the gain parameter sets the scale
    for name in ("standard", "spectral"):
        assert layers[name].scale_invariant, f"{name}: the arithmetic divides the scale of the parameter out"
    assert layers["standard"].fan_in == 72
    assert layers["gain"].role == "weight_gain"
    assert layers["equalised"].attrs["weight_scale"] == 0.25
    assert layers["equalised"].bias == "equalised.bias"


class Adapted(nn.Module):
    """A low-rank correction beside a layer, and one added to a weight before use."""

    def __init__(self, width: int = 32, rank: int = 4) -> None:
        super().__init__()
        self.base, self.merged, self.head = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 3)
        self.a, self.b = nn.Linear(width, rank, bias=False), nn.Linear(rank, width, bias=False)
        self.down, self.up = nn.Parameter(torch.zeros(rank, width)), nn.Parameter(torch.zeros(width, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.base(x) + 2.0 * self.b(self.a(x)))
        x = F.linear(x, self.merged.weight + 0.5 * (self.up @ self.down), self.merged.bias)
        return self.head(F.relu(x))


def test_low_rank_corrections_are_told_from_residual_branches() -> None:
    graph = recorded(Adapted(), torch.zeros(2, 32))
    layers = by_name(graph)
    roles = {name: layers[name].role for name in ("a", "b", "down", "up")}
    assert roles == {"a": "lora_a", "b": "lora_b", "down": "lora_a", "up": "lora_b"}
    assert {name: (layers[name].fan_in, layers[name].fan_out) for name in ("down", "up")} == {
        "down": (32, 4),
        "up": (4, 32),
    }
    assert layers["up"].attrs["previous"] == ("down",)
    assert layers["b"].attrs["previous"] == ("a",)
    assert (layers["a"].attrs["adapts"], layers["down"].attrs["adapts"]) == ("base", "merged")
    assert graph.summary["residual_adds"] == 0
    assert layers["merged"].attrs["stretch_previous"] == ("base",)


def test_a_fused_bias_keeps_both_of_its_parameters() -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(6, 18, bias=False)
            self.q_bias, self.v_bias = nn.Parameter(torch.zeros(6)), nn.Parameter(torch.zeros(6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.linear(x, self.qkv.weight, torch.cat((self.q_bias, torch.zeros(6), self.v_bias)))

    layers = by_name(recorded(Fused(), torch.zeros(2, 6)))
    held = {p for layer in layers.values() for p in (layer.weight, layer.bias) if p}
    assert held == {"qkv.weight", "q_bias", "v_bias"}


def test_a_table_read_by_its_own_scores_is_no_weight_matrix() -> None:
    sketch = Sketch()
    q = sketch.linear(sketch.input(4, 6), "q", 6, 6)
    index = sketch.constant([[0, 1], [1, 0]])
    rows = sketch.add("index_select", [sketch.parameter("table", 5, 6), index], (2, 2, 6), dim=0)
    table = sketch.done(sketch.add("einsum", [q, rows], (4, 2, 2), equation="bc,xyc->bxy"))["table"]
    assert (table.kind, table.role) == ("table", "relative_position")
