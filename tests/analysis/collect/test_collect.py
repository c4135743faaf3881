"""Facts of layers, norms and models, against closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from initadvisor.analysis.facts import SCOPES, LayerFacts, ModelFacts, NormFacts, collect
from initadvisor.analysis.structure import describe
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module import load
from initadvisor.graph import Graph


def facts_of(module: nn.Module, *example: torch.Tensor) -> dict[tuple[str, str], Any]:
    """(scope, name) -> the fact model of that scope."""
    graph = describe(load(module, LoadOptions(example=example)))
    return {(scope, name): groups[scope] for scope, name, _, groups in collect(graph, tensor_facts(graph))}


def layer(facts: dict[tuple[str, str], Any], name: str) -> LayerFacts:
    """The facts of a layer."""
    found = facts["layer", name]
    assert isinstance(found, LayerFacts)
    return found


def model(facts: dict[tuple[str, str], Any]) -> ModelFacts:
    """The facts of the model."""
    (found,) = [f for (scope, _), f in facts.items() if scope == "model"]
    assert isinstance(found, ModelFacts)
    return found


def test_every_subject_carries_the_groups_of_its_scope() -> None:
    graph = describe(load(nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8)), LoadOptions(example=torch.zeros(2, 4))))
    seen = set()
    for scope, _, tensor, groups in collect(graph, tensor_facts(graph)):
        assert {name: type(group) for name, group in groups.items()} == dict(SCOPES[scope])
        assert (tensor is None) == (scope == "model")
        seen.add(scope)
    elsewhere = {"batch", "client", "clients"}  # no part of a graph: see tests/analysis/batch and tests/engine
    assert seen == set(SCOPES) - elsewhere


def test_every_fact_says_what_it_is() -> None:
    for groups in SCOPES.values():
        for group in groups.values():
            for name, field in group.model_fields.items():  # type: ignore[attr-defined]
                assert field.description, f"{group.__name__}.{name} has no description"
                assert field.default is None


@pytest.mark.parametrize(("std", "into", "out"), [(0.5, 64, 256), (0.02, 256, 64)])
def test_gains_are_rms_times_the_root_of_the_fan(std: float, into: int, out: int) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(into, out), nn.ReLU(), nn.Linear(out, 2))
    nn.init.normal_(module[0].weight, std=std)
    found = layer(facts_of(module, torch.zeros(2, into)), "0")
    rms = module[0].weight.square().mean().sqrt().item()
    assert found.gain == pytest.approx(rms * math.sqrt(into), rel=1e-5)
    assert found.backward_gain == pytest.approx(rms * math.sqrt(out), rel=1e-5)
    assert found.recommended_gain == pytest.approx(math.sqrt(2))
    assert (found.conventional_fan_in, found.conventional_fan_out) == (into, out)


@pytest.mark.parametrize(
    ("act", "gain"),
    [(nn.ReLU(), 2**0.5), (nn.GELU(), 1.533530), (nn.Tanh(), 1.592537), (nn.Identity(), 1.0), (nn.SELU(), 1.0)],
)
def test_recommended_gains_are_those_of_the_quadrature(act: nn.Module, gain: float) -> None:
    found = layer(facts_of(nn.Sequential(nn.Linear(8, 8), act, nn.Linear(8, 8)), torch.zeros(2, 8)), "0")
    assert found.recommended_gain == pytest.approx(gain, rel=1e-4)


def test_a_prelu_is_judged_by_its_slope() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.PReLU(init=0.5), nn.Linear(8, 8))
    found = layer(facts_of(module, torch.zeros(2, 8)), "0")
    assert (found.activation, found.negative_slope) == ("leaky_relu", 0.5)
    assert found.recommended_gain == pytest.approx(math.sqrt(2 / 1.25))


def test_the_layer_behind_a_gate_makes_up_for_it() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.up, self.down = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.down(F.silu(self.gate(x)) * self.up(x))

    facts = facts_of(Gated(), torch.zeros(2, 8))
    assert [layer(facts, n).recommended_gain for n in ("gate", "up")] == [1.0, 1.0]
    assert layer(facts, "down").recommended_gain == pytest.approx(1.676532, rel=1e-4)
    assert layer(facts, "gate").activation_gated


def test_transposed_and_grouped_convolutions_tell_what_the_convention_gets_wrong() -> None:
    facts = facts_of(
        nn.Sequential(nn.ConvTranspose2d(64, 32, 4, 2), nn.Conv2d(32, 32, 3, groups=32)), torch.zeros(1, 64, 8, 8)
    )
    up, deep = layer(facts, "0"), layer(facts, "1")
    assert (up.transposed, up.stride, up.fan_in, up.conventional_fan_in) == (True, 4, 256, 512)
    assert (deep.depthwise, deep.groups, deep.fan_out, deep.conventional_fan_out) == (True, 32, 9, 288)


def test_a_weight_norm_has_the_gain_of_its_length() -> None:
    module = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(32, 16)), nn.ReLU(), nn.Linear(16, 2))
    with torch.no_grad():
        module[0].parametrizations.weight.original1.mul_(7.0)  # the direction: its scale has no effect
        module[0].parametrizations.weight.original0.mul_(3.0)
        expected = module[0].weight.square().mean().sqrt().item() * math.sqrt(32)
    assert layer(facts_of(module, torch.zeros(2, 32)), "0").gain == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("width", [16, 64])
@pytest.mark.parametrize("order", ["out, in", "in, out"])
def test_block_gains_are_those_of_the_parts(width: int, order: str) -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            parts = [nn.init.normal_(torch.empty(width, width), std=s) for s in (0.1, 0.2, 0.4)]
            self.weight = nn.Parameter(torch.cat(parts) if order == "out, in" else torch.cat([p.t() for p in parts], 1))
            self.out = nn.Linear(width, width)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = F.linear(x, self.weight) if order == "out, in" else x @ self.weight
            q, k, v = (t.unflatten(-1, (4, -1)).transpose(1, 2) for t in y.chunk(3, -1))
            return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    torch.manual_seed(0)
    module = Fused()
    found = layer(facts_of(module, torch.zeros(2, 5, width)), "weight")
    axis = 0 if order == "out, in" else 1
    expected = [p.square().mean().sqrt().item() * math.sqrt(width) for p in module.weight.chunk(3, axis)]
    assert found.blocks == ("q", "k", "v")
    assert found.block_gains == pytest.approx(expected, rel=1e-5)


def test_copied_experts_are_counted() -> None:
    class Bank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.Parameter(torch.randn(4, 8, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.bmm(x, self.experts)

    module = Bank()
    assert layer(facts_of(module, torch.zeros(4, 3, 8)), "experts").identical_blocks == 0
    with torch.no_grad():
        module.experts[2] = module.experts[3] = module.experts[0]
    assert layer(facts_of(module, torch.zeros(4, 3, 8)), "experts").identical_blocks == 2


@pytest.mark.parametrize("both", [False, True])
def test_the_forget_gate_bias_is_the_sum_of_both_vectors(both: bool) -> None:
    lstm = nn.LSTM(6, 10)
    with torch.no_grad():
        lstm.bias_ih_l0.zero_()
        lstm.bias_hh_l0.zero_()
        lstm.bias_hh_l0[10:20] = 1.0
        if both:
            lstm.bias_ih_l0[10:20] = 1.0
    found = layer(facts_of(lstm, torch.zeros(3, 2, 6)), "weight_hh_l0")
    assert (found.forget_bias, found.forget_bias_parts) == ((2.0, 2) if both else (1.0, 1))


def test_orthogonal_gates_are_told_from_drawn_ones() -> None:
    gru = nn.GRU(6, 24)
    name = "weight_hh_l0"
    assert layer(facts_of(gru, torch.zeros(3, 2, 6)), name).blocks_orthogonal == 0
    with torch.no_grad():
        for i in range(2):
            nn.init.orthogonal_(gru.weight_hh_l0[24 * i : 24 * i + 24], gain=1.3)
    assert layer(facts_of(gru, torch.zeros(3, 2, 6)), name).blocks_orthogonal == pytest.approx(2 / 3)


class Stack(nn.Module):
    """Pre-norm residual blocks."""

    def __init__(self, blocks: int, norm: bool, scale: float | None = None, std: float | None = None) -> None:
        super().__init__()
        self.up = nn.ModuleList(nn.Linear(16, 32) for _ in range(blocks))
        self.down = nn.ModuleList(nn.Linear(32, 16) for _ in range(blocks))
        self.norms = nn.ModuleList(nn.LayerNorm(16) if norm else nn.Identity() for _ in range(blocks))
        self.gammas = nn.ParameterList(torch.full((16,), scale) for _ in range(blocks if scale is not None else 0))
        for up, down in zip(self.up, self.down, strict=True):
            nn.init.kaiming_normal_(up.weight, nonlinearity="relu")
            nn.init.normal_(down.weight, std=std or 32**-0.5)
            nn.init.zeros_(up.bias)
            nn.init.zeros_(down.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, (norm, up, down) in enumerate(zip(self.norms, self.up, self.down, strict=True)):
            y = down(F.relu(up(norm(x))))
            x = x + (self.gammas[i] * y if self.gammas else y)
        return x


def test_an_unnormalised_stream_doubles_with_each_block() -> None:
    torch.manual_seed(0)
    found = model(facts_of(Stack(10, norm=False), torch.zeros(2, 16)))
    assert found.residual is not None
    assert found.residual.unnormalised_blocks == found.residual_branches == 10
    assert found.residual.growth == pytest.approx(2**5, rel=0.5)  # rms: sqrt(2) a block, narrow draws scatter
    assert not found.has_norm


def test_norms_and_zero_scales_keep_the_stream_quiet() -> None:
    normed = model(facts_of(Stack(6, norm=True), torch.zeros(2, 16)))
    assert normed.residual is not None
    assert (normed.residual.unnormalised_blocks, normed.norms, normed.has_residual) == (0, 6, True)
    scaled = model(facts_of(Stack(6, norm=False, scale=0.0), torch.zeros(2, 16)))
    assert scaled.residual is not None
    assert (scaled.branch_scales, scaled.residual.growth) == (6, pytest.approx(1.0))


@pytest.mark.parametrize("std", [0.02, 0.02 / math.sqrt(12)])
def test_the_ratio_of_branch_ends_shows_depth_scaling(std: float) -> None:
    torch.manual_seed(0)
    module = Stack(6, norm=True, std=std)
    for up in module.up:
        nn.init.normal_(up.weight, std=0.02)
    assert model(facts_of(module, torch.zeros(2, 16))).branch_end_ratio == pytest.approx(std / 0.02, rel=0.1)


def test_zero_norms_at_branch_ends_and_biases_before_norms_are_counted() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, bias=False)
            self.n1, self.n2 = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(x + self.n2(self.b(F.relu(self.n1(self.a(x))))))

    module = nn.Sequential(*[Block() for _ in range(3)])
    nn.init.zeros_(module[1].n2.weight)
    facts = facts_of(module, torch.zeros(2, 4, 6, 6))
    found = model(facts)
    assert (found.branch_end_norms, found.zero_branch_end_norms, found.first_branch_end_norm) == (3, 1, "0.n2")
    assert (found.biases_before_norm, found.first_bias_before_norm) == (3, "0.a")
    norm = facts["norm", "1.n2"]
    assert isinstance(norm, NormFacts)
    assert (norm.op, norm.residual_role, norm.running_fresh, norm.channels) == ("batch_norm", "branch_end", True, 4)
    assert norm.eps == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("act", "bias", "dead"), [(nn.ReLU(), 0.0, True), (nn.ReLU(), 0.5, False), (nn.Sigmoid(), 0.0, False)]
)
def test_two_zero_layers_are_dead_only_where_nothing_wakes_them(act: nn.Module, bias: float, dead: bool) -> None:
    module = nn.Sequential(nn.Linear(8, 8), act, nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for i in (0, 2):
        nn.init.zeros_(module[i].weight)
        nn.init.constant_(module[i].bias, bias)
    assert layer(facts_of(module, torch.zeros(2, 8)), "2").previous_zero is dead


def test_a_zero_head_and_a_zero_branch_end_are_not_dead() -> None:
    class Quiet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)
            for part in (self.down, self.head):
                nn.init.zeros_(part.weight)
                nn.init.zeros_(part.bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x + self.down(F.relu(self.up(x))))

    facts = facts_of(Quiet(), torch.zeros(2, 8))
    assert layer(facts, "down").previous_zero is False
    assert layer(facts, "head").previous_zero is False  # the skip carries the input past the zero branch


def test_a_tied_table_has_logits() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(50, 16), nn.Linear(16, 50, bias=False)
            self.head.weight = self.table.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.table(x).tanh())

    module = Tied()
    found = layer(facts_of(module, torch.zeros(2, 3, dtype=torch.long)), "table")
    rms = module.table.weight.square().mean().sqrt().item()
    assert (found.tied, found.tied_to, found.entries, found.tied_fan_in) == (True, ("head",), 50, 16)
    assert found.tied_logit_std == pytest.approx(4 * rms, rel=1e-5)


def test_a_vanishing_stack_shows_in_its_stretch() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(*[m for _ in range(20) for m in (nn.Linear(64, 64), nn.ReLU())], nn.Linear(64, 3))
    for part in module:
        if isinstance(part, nn.Linear):
            nn.init.xavier_normal_(part.weight)
            nn.init.zeros_(part.bias)
    last = layer(facts_of(module, torch.zeros(2, 64)), "38")
    assert last.stretch is not None
    assert (last.stretch.depth, last.stretch.start, last.stretch.ends) == (20, "0", True)
    assert last.stretch.signal == pytest.approx(2**-10, rel=0.3)  # sqrt(1/2) a layer


def test_a_model_without_numbers_has_facts_of_its_structure() -> None:
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4))
    facts = facts_of(module, torch.zeros(2, 8))
    first = layer(facts, "0")
    assert (first.fan_in, first.activation, first.gain) == (8, "gelu", None)
    assert model(facts).trained_share is None
    assert np.isfinite(model(facts).parameters or 0)


def test_a_state_dict_has_facts_of_its_tensors_and_leaves_the_rest_unknown() -> None:
    graph = describe(load(nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16)), LoadOptions(example=torch.zeros(2, 8))))
    bare = Graph("weights", "checkpoint", parameters=graph.parameters, edges=False)
    tensors = tensor_facts(describe(bare))
    facts = {(scope, name): groups[scope] for scope, name, _, groups in collect(bare, tensors)}
    found = layer(facts, "0")
    assert found.gain == pytest.approx((tensors["0.weight"].rms or 0) * math.sqrt(8))
    assert (found.activation, found.role, found.residual_role, found.scale_invariant) == (None, None, None, None)
    assert facts["norm", "1"].running_fresh is True
    assert (model(facts).edges, model(facts).has_residual) == (False, None)


def test_units_are_alike_only_where_no_layer_tells_them_apart() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    for i in (0, 2):
        nn.init.constant_(module[i].weight, 0.5)
    # A head of one row has no row to be like, so it does not count.
    assert model(facts_of(module, torch.zeros(2, 8))).equal_rows == pytest.approx(7 / 8)
    nn.init.orthogonal_(module[0].weight)
    found = model(facts_of(module, torch.zeros(2, 8)))
    assert found.equal_rows == 0.0
    assert found.smallest_effective_rank is not None
    assert found.smallest_effective_rank > 1.0  # equal singular values: more than those of a random matrix


def test_a_matrix_of_few_directions_has_a_small_effective_rank() -> None:
    module = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 4))
    with torch.no_grad():
        module[0].weight.copy_(torch.randn(32, 1) @ torch.randn(1, 32))
    found = model(facts_of(module, torch.zeros(2, 32))).smallest_effective_rank
    assert found is not None
    assert found < 0.1


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_the_recurrent_gain_is_that_of_the_weights_between_steps(cell: type[nn.Module]) -> None:
    module = cell(8, 16, num_layers=2, batch_first=True)
    nn.init.normal_(module.weight_hh_l1, std=1.0)
    found = model(facts_of(module, torch.zeros(2, 4, 8))).recurrent_gain
    assert found == pytest.approx(float(module.weight_hh_l1.detach().square().mean().sqrt()) * 4.0, rel=1e-5)
    assert model(facts_of(nn.Linear(8, 8), torch.zeros(2, 8))).recurrent_gain is None
