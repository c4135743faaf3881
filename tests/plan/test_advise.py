"""What is advised for each kind of parameter, what is left alone, and who wins."""

from __future__ import annotations

import json
from math import sqrt

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.errors import ConfigError, FormatError, UsageError
from initadvisor.plan import PRESETS, Plan, advise, overrides
from initadvisor.rules.finding import Finding, SubjectName
from tests.plan.plans import described, plan_of


def mlp(depth: int, activation: type[nn.Module], width: int = 32) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 4))


def finding(parameter: str, layer: str, severity: str = "error") -> Finding:
    subject = SubjectName(kind="layer", name=layer, tensor=parameter)
    return Finding(
        rule="IA102", name="x", severity=severity, subject=subject, message="m", evidence={}, fingerprint="f"
    )


def gain(plan: Plan, name: str) -> float:
    """std sqrt(fan_in) of what is planned."""
    step = plan.step(name)
    return step.std_after * sqrt(step.layout.fan_in(step.shape))


@pytest.fixture(scope="module")
def resnet() -> Plan:
    return plan_of(torchvision.models.resnet50())


def test_every_trainable_parameter_has_one_step(resnet):
    names = [step.parameter for step in resnet]
    assert sorted(names) == sorted(n for n, _ in torchvision.models.resnet50().named_parameters())
    for step in resnet:
        assert step.reason
        assert step.replaces != "unknown"
        assert step.safe


@pytest.mark.parametrize(
    ("activation", "expected"),
    [(nn.ReLU, sqrt(2)), (nn.GELU, 1.533530), (nn.SiLU, 1.676532), (nn.SELU, 1.0), (nn.Mish, 1.486848)],
)
def test_a_layer_gets_the_gain_of_its_activation(activation, expected):
    plan = plan_of(mlp(3, activation), (2, 32))
    assert gain(plan, "2.weight") == pytest.approx(expected, rel=1e-5)
    assert gain(plan, "6.weight") == pytest.approx(1.0)
    assert plan.step("2.bias").method == "zeros"


def test_a_deep_plain_stack_gets_orthogonal_weights():
    assert plan_of(mlp(12, nn.ReLU), (2, 32)).step("4.weight").method == "orthogonal"
    assert plan_of(mlp(3, nn.ReLU), (2, 32)).step("4.weight").method == "kaiming_normal"


def test_a_deep_sigmoid_stack_gets_the_critical_gain_with_rows_that_sum_to_zero():
    step = plan_of(mlp(12, nn.Sigmoid), (2, 32)).step("4.weight")
    assert step.spec.params["centred"]
    assert step.spec.params["gain"] == pytest.approx(4.37, abs=0.01)


def test_very_deep_convolutions_get_delta_orthogonal_kernels():
    layers: list[nn.Module] = []
    for _ in range(32):
        layers += [nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    plan = plan_of(nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 64, 3)), (2, 8, 8, 8))
    assert plan.step("4.weight").method == "delta_orthogonal"


def test_fans_are_those_of_the_operator_not_of_torch():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.depthwise = nn.Conv2d(16, 16, 3, groups=16)
            self.up = nn.ConvTranspose2d(16, 8, 4, stride=2)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.up(self.depthwise(x).relu()).relu().flatten(2).transpose(1, 2)
            return self.attention(x, x, x)[0]

    plan = plan_of(Odd(), (2, 16, 8, 8))
    assert plan.step("depthwise.weight").std_after == pytest.approx(sqrt(2 / 9))
    assert plan.step("up.weight").std_after == pytest.approx(sqrt(2 / (16 * 16 / 4)))
    assert plan.step("attention.in_proj_weight").std_after == pytest.approx(sqrt(1 / 8))


def test_branches_without_norms_start_at_zero_and_pre_norm_ones_small():
    class Residual(nn.Module):
        def __init__(self, norm: bool) -> None:
            super().__init__()
            self.a = nn.ModuleList(nn.Linear(16, 16) for _ in range(6))
            self.b = nn.ModuleList(nn.Linear(16, 16) for _ in range(6))
            self.norms = nn.ModuleList(nn.LayerNorm(16) if norm else nn.Identity() for _ in range(6))
            self.head = nn.Linear(16, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for a, b, norm in zip(self.a, self.b, self.norms, strict=True):
                x = x + b(F.relu(a(norm(x))))
            return self.head(x)

    bare = plan_of(Residual(False), (2, 16))
    assert {bare.step(f"b.{i}.weight").method for i in range(6)} == {"zeros"}
    assert gain(bare, "a.0.weight") == pytest.approx(sqrt(2) * 6**-0.5)
    normed = plan_of(Residual(True), (2, 16))
    assert gain(normed, "b.0.weight") == pytest.approx(1 / sqrt(6))
    assert gain(normed, "a.0.weight") == pytest.approx(sqrt(2))


def test_trained_frozen_and_intended_parameters_are_kept():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    nn.init.zeros_(model[4].weight)
    nn.init.constant_(model[4].bias, -4.6)
    model[0].weight.requires_grad_(False)
    plan = plan_of(model, (2, 64))
    assert plan.step("0.weight").method == "keep"
    assert "frozen" in plan.step("0.weight").reason
    assert plan.step("4.weight").method == "keep"
    assert "prior" in plan.step("4.bias").reason
    # What is kept passes a third of the second moment (U(+-1/sqrt(fan_in)), bias included), ReLU half of that.
    assert gain(plan, "2.weight") == pytest.approx(sqrt(2 / ((1 + 1 / 64) / 6)), rel=0.1)


def trained_model() -> nn.Sequential:
    """A net that has learned something hard enough to show in its weights."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    x, y = torch.randn(512, 64), torch.randint(0, 10, (512,))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def test_a_trained_model_is_left_alone_unless_it_is_meant():
    model = trained_model()
    plan = plan_of(model, (2, 64))
    assert not plan.draws
    again = plan_of(model, (2, 64), include_trained=True)
    assert len(again.draws) == len(again)
    assert not any(step.safe for step in again)


def test_what_a_rule_flags_is_drawn_even_where_it_looks_intended():
    model = mlp(3, nn.ReLU)
    nn.init.zeros_(model[6].weight)
    graph = described(model, (2, 32))
    facts = tensor_facts(graph)
    assert advise(graph, facts).step("6.weight").method == "keep"
    flagged = advise(graph, facts, [finding("6.weight", "6")]).step("6.weight")
    assert flagged.method == "lecun_normal"
    assert flagged.rules == ("IA102",)
    remark = advise(graph, facts, [finding("6.weight", "6", "info")]).step("6.weight")
    assert remark.method == "keep"


def test_only_flagged_changes_nothing_else():
    model = mlp(3, nn.ReLU)
    graph = described(model, (2, 32))
    plan = advise(graph, tensor_facts(graph), [finding("2.weight", "2")]).only_flagged()
    assert [step.parameter for step in plan.draws] == ["2.weight"]


def test_policy_wins_and_later_entries_win_over_earlier_ones():
    policy = overrides(
        {"*": {"method": "normal", "std": 0.02}, "6.*": "zeros", "0": "keep", "4": {"method": "identity"}}
    )
    plan = plan_of(mlp(3, nn.ReLU), (2, 32), policy=policy)
    assert plan.step("2.weight").std_after == 0.02
    assert plan.step("6.weight").method == plan.step("6.bias").method == "zeros"
    assert plan.step("0.weight").method == plan.step("0.bias").method == "keep"
    assert plan.step("4.weight").method == "identity"
    assert plan.step("4.bias").method == "normal"


def test_a_method_that_needs_a_matrix_passes_by_vectors():
    plan = plan_of(mlp(3, nn.ReLU), (2, 32), policy=overrides({"*": {"method": "xavier_uniform"}}))
    assert plan.step("2.weight").method == "xavier_uniform"
    assert plan.step("2.bias").method == "zeros"


def test_a_policy_that_names_no_initializer_is_an_error_with_its_pattern():
    with pytest.raises(ConfigError, match=r'policy "head\.\*".*did you mean'):
        overrides({"head.*": {"method": "zeroes"}})
    with pytest.raises(ConfigError, match="no parameter 'sd'"):
        overrides({"*": {"method": "normal", "sd": 1.0}})


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_makes_a_plan_for_a_convolutional_net(preset):
    plan = plan_of(torchvision.models.resnet18(), preset=preset)
    assert len(plan.draws) == len(plan)
    for step in plan:
        assert step.std_after is not None


def test_presets_do_what_their_names_say():
    resnet18 = torchvision.models.resnet18()
    assert plan_of(resnet18, preset="vision").step("layer1.0.bn2.weight").method == "zeros"
    assert plan_of(resnet18).step("layer1.0.bn2.weight").method == "ones"
    vit = plan_of(torchvision.models.vit_b_16(), preset="vit")
    assert vit.step("conv_proj.weight").std_after == pytest.approx(0.02)
    sigmoid = plan_of(mlp(3, nn.Sigmoid), (2, 32), preset="sigmoid-mlp")
    assert sigmoid.step("2.weight").method == "orthogonal"
    with pytest.raises(UsageError, match="there is no preset 'vison'"):
        plan_of(resnet18, preset="vison")


def test_a_recipe_takes_its_own_parameters():
    plan = plan_of(mlp(3, nn.ReLU), (2, 32), preset="sparse-orthogonal", params={"density": 0.3})
    assert plan.step("2.weight").spec.params["density"] == 0.3


def test_a_state_dict_without_a_graph_gets_a_plan_from_shapes(tmp_path):
    from safetensors.torch import save_file

    from initadvisor import frontends
    from initadvisor.analysis.structure import describe

    save_file(dict(torchvision.models.resnet18().named_parameters()), tmp_path / "weights.safetensors")
    graph = describe(frontends.load(tmp_path / "weights.safetensors"))
    plan = advise(graph, tensor_facts(graph))
    assert plan.step("layer1.0.conv1.weight").std_after is not None


def test_a_plan_survives_json(resnet):
    again = Plan.from_json(json.dumps(resnet.to_json()))
    assert again == resnet
    for damaged in ("[]", '{"schema_version": 7}', "nonsense", '{"schema_version": 1, "steps": [{}]}'):
        with pytest.raises(FormatError):
            Plan.from_json(damaged)


def test_advice_is_cheap():
    """Linear in the layers: a plan of 1,000 layers well under a second."""
    import time

    graph = described(mlp(1000, nn.ReLU, 4), (2, 4))
    start = time.perf_counter()
    plan = advise(graph)
    assert time.perf_counter() - start < 2.0
    assert len(plan) == 2002


@pytest.mark.parametrize(("value", "method"), [(-4.595, "keep"), (-16.0, "keep"), (50.0, "zeros"), (-20.0, "zeros")])
def test_a_head_bias_states_a_prior_only_where_float32_knows_such_a_probability(value, method):
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    nn.init.constant_(model[2].bias, value)
    assert plan_of(model, (2, 8)).step("2.bias").method == method


def odd_one_out() -> nn.Sequential:
    """A drawn network, one weight of which has an element of 10,000 and looks like no draw."""
    torch.manual_seed(0)
    model = mlp(6, nn.Tanh)
    with torch.no_grad():
        model[4].weight[0, 0] = 1e4
    return model


def test_a_single_layer_that_looks_like_no_draw_is_learned_unless_an_error_is_about_it():
    model = odd_one_out()
    assert plan_of(model, (2, 32)).step("4.weight").reason.startswith("trained")
    assert plan_of(model, (2, 32), findings=[finding("4.weight", "4", "warning")]).step("4.weight").method == "keep"
    step = plan_of(model, (2, 32), findings=[finding("4.weight", "4")]).step("4.weight")
    assert step.method == "orthogonal"
    assert step.safe


def test_a_weight_of_a_drawn_network_whose_units_are_equal_is_not_learned():
    torch.manual_seed(0)
    model = mlp(6, nn.Tanh, width=16)
    with torch.no_grad():
        model[4].weight.copy_(model[4].weight[:1].expand(16, 16).clone())
    assert plan_of(model, (2, 16)).step("4.weight").method == "orthogonal"


@pytest.mark.parametrize("norm", ["layer", "group", "batch"])
def test_rows_sum_to_zero_between_a_sigmoid_and_a_norm_over_units(norm):
    norms = {
        "layer": lambda: nn.LayerNorm(16),
        "group": lambda: nn.GroupNorm(4, 16),
        "batch": lambda: nn.BatchNorm1d(16),
    }
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Linear(16, 16), norms[norm](), nn.Sigmoid()]
    plan = plan_of(nn.Sequential(*layers, nn.Linear(16, 4)), (2, 16))
    centred = [bool(plan.step(f"{i}.weight").spec.params.get("centred")) for i in (0, 3, 6, 9)]
    assert centred == [False] + 3 * [norm != "batch"]


class Attends(nn.Module):
    """Looks up tokens and attends over them, behind a norm or bare."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.tokens = nn.Embedding(50, 32)
        self.norm = nn.LayerNorm(32) if norm else nn.Identity()
        self.q, self.k, self.v = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)
        self.head = nn.Linear(32, 5)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.tokens(ids))
        return self.head(F.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x)))


@pytest.mark.parametrize(("norm", "std"), [(True, 0.02), (False, 1.0)])
def test_embeddings_start_small_only_where_a_norm_puts_their_size_right(norm: bool, std: float) -> None:
    plan = plan_of(Attends(norm), (2, 6))
    assert plan.step("tokens.weight").spec.params == {"std": std}


@pytest.mark.parametrize(("depth", "norm"), [(12, nn.LayerNorm), (12, nn.BatchNorm1d), (4, nn.LayerNorm)])
def test_dense_layers_in_front_of_many_norms_are_orthogonal(depth: int, norm: type[nn.Module]) -> None:
    torch.manual_seed(0)
    layers = [m for _ in range(depth) for m in (nn.Linear(16, 16), norm(16), nn.GELU())]
    plan = plan_of(nn.Sequential(*layers, nn.Linear(16, 4)), (8, 16))
    methods = {step.parameter: step.method for step in plan.steps}
    for index in range(0, 3 * depth, 3):
        assert (methods[f"{index}.weight"] == "orthogonal") is (depth >= 10)
    assert methods[f"{3 * depth}.weight"] == "lecun_normal"
