"""Model-level recipes on real modules: the published constants, in the right places."""

from __future__ import annotations

from math import log, sqrt

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from initadvisor.errors import UsageError
from initadvisor.graph import Graph
from initadvisor.initializers import Key
from initadvisor.initializers.recipes import RECIPES, Choices
from initadvisor.initializers.recipes.deep_transformers import deep_norm_constants
from initadvisor.initializers.recipes.mup import attention_scale
from tests.plan.plans import described


class Block(nn.Module):
    """A pre- or post-norm transformer block with projections of their own, or none of the norms."""

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm = norm
        if norm != "none":
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (layer(x).unflatten(-1, (2, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.norm == "pre":
            x = x + self.attend(self.first(x))
            return x + self.down(F.gelu(self.up(self.second(x))))
        if self.norm == "post":
            x = self.first(x + self.attend(x))
            return self.second(x + self.down(F.gelu(self.up(x))))
        x = x + self.attend(x)
        return x + self.down(F.gelu(self.up(x)))


class Language(nn.Module):
    """A small decoder."""

    def __init__(self, blocks: int = 3, width: int = 16, norm: str = "pre") -> None:
        super().__init__()
        self.table = nn.Embedding(40, width)
        self.position = nn.Parameter(torch.zeros(1, 6, width))
        self.blocks = nn.ModuleList(Block(width, norm) for _ in range(blocks))
        self.last = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(width, 40, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.table(x) + self.position
        for block in self.blocks:
            h = block(h)
        return self.head(self.last(h))


class Plain(nn.Module):
    """Residual blocks of two layers, with or without a learned scale, without norms."""

    def __init__(self, blocks: int, scale: str = "") -> None:
        super().__init__()
        self.stem = nn.Linear(12, 24)
        self.a = nn.ModuleList(nn.Linear(24, 24) for _ in range(blocks))
        self.b = nn.ModuleList(nn.Linear(24, 24) for _ in range(blocks))
        shape = {"": (0,), "scalar": (1,), "channel": (24,)}[scale]
        self.gamma = nn.ParameterList(nn.Parameter(torch.ones(shape)) for _ in range(blocks if scale else 0))
        self.head = nn.Linear(24, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for i, (a, b) in enumerate(zip(self.a, self.b, strict=True)):
            branch = b(F.relu(a(F.relu(x))))
            x = x + (self.gamma[i] * branch if len(self.gamma) else branch)
        return self.head(x)


def language(**options: object) -> Graph:
    return described(Language(**options), (2, 6))


def std(graph: Graph, chosen: Choices, name: str) -> float:
    layer = next(layer for layer in graph.layers if layer.weight == name)
    return chosen[name].spec.std(graph.parameters[name].shape, layer.layout)


def xavier(graph: Graph, name: str) -> float:
    return sqrt(2 / sum(graph.parameters[name].shape))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_what_it_is_and_where_it_comes_from(name):
    for heading in ("Formula:", "Use:", "Caveat:", "Source:"):
        assert RECIPES[name].doc.count(heading) == 1


def test_fixup_scales_branches_by_depth_and_starts_as_the_identity():
    graph = described(Plain(9), (2, 12))
    chosen = RECIPES["fixup"](graph)
    assert std(graph, chosen, "a.0.weight") == pytest.approx(sqrt(2 / 24) * 9 ** (-1 / 2))
    model = Plain(9)
    for name, parameter in model.named_parameters():
        if name in chosen:
            drawn = chosen[name].spec.draw(tuple(parameter.shape), Key(0, name))
            parameter.data = torch.from_numpy(drawn)
    x = torch.randn(8, 12)
    assert not model(x).any()  # so the loss is ln C
    assert F.cross_entropy(model(x), torch.zeros(8, dtype=torch.long)).item() == pytest.approx(log(5))
    stream = model.stem(x)
    for a, b in zip(model.a, model.b, strict=True):
        assert torch.equal(stream + b(F.relu(a(F.relu(stream)))), stream)


@pytest.mark.parametrize("name", ["rezero", "skipinit"])
def test_rezero_zeroes_the_scale_of_each_branch_and_nothing_else(name):
    chosen = RECIPES[name](described(Plain(3, "scalar"), (2, 12)))
    assert set(chosen) == {"gamma.0", "gamma.1", "gamma.2"}
    assert {choice.spec.method for choice in chosen.values()} == {"zeros"}


@pytest.mark.parametrize(("blocks", "value"), [(4, 0.1), (40, 1e-5), (60, 1e-6)])
def test_layer_scale_gets_smaller_with_depth(blocks, value):
    graph = described(Plain(blocks, "channel"), (2, 12))
    chosen = RECIPES["layer_scale"](graph)
    assert len(chosen) == blocks
    assert chosen["gamma.0"].spec.params == {"value": value}
    assert RECIPES["layer_scale"](graph, value=0.5)["gamma.0"].spec.params == {"value": 0.5}


def test_zero_last_norm_is_torchvisions_zero_init_residual():
    reference = torchvision.models.resnet50(zero_init_residual=True)
    expected = {n for n, p in reference.named_parameters() if n.endswith("weight") and not p.any()}
    assert set(RECIPES["zero_last_norm"](described(torchvision.models.resnet50()))) == expected


def test_gpt2_scales_residual_outputs_by_the_root_of_twice_the_depth():
    graph = language(blocks=6)
    chosen = RECIPES["gpt2"](graph)
    for name in ("blocks.2.q.weight", "blocks.0.up.weight", "table.weight", "position", "head.weight"):
        assert std(graph, chosen, name) == 0.02
    for name in ("blocks.0.out.weight", "blocks.5.down.weight"):
        assert std(graph, chosen, name) == pytest.approx(0.02 / sqrt(12))
    assert chosen["blocks.0.q.bias"].spec.method == "zeros"
    assert chosen["last.weight"].spec.method == "ones"
    assert set(chosen) == set(dict(Language().named_parameters())) | {n for n in chosen if n.startswith("blocks")}


def test_t_fixup_ratios_are_exact():
    graph = language(blocks=4, norm="none")
    chosen = RECIPES["t_fixup"](graph)
    for name in ("v", "out", "up", "down"):
        ratio = std(graph, chosen, f"blocks.1.{name}.weight") / xavier(graph, f"blocks.1.{name}.weight")
        assert ratio == pytest.approx(0.67 * 4**-0.25)
    for name in ("q", "k"):
        assert std(graph, chosen, f"blocks.1.{name}.weight") == pytest.approx(xavier(graph, f"blocks.1.{name}.weight"))
    decoder = RECIPES["t_fixup"](graph, decoder="blocks")
    assert std(graph, decoder, "blocks.0.v.weight") / xavier(graph, "blocks.0.v.weight") == pytest.approx(36**-0.25)
    assert std(graph, decoder, "table.weight") == pytest.approx(36**-0.25 / 4)


def test_dt_fixup_divides_by_what_the_data_measure():
    graph = language(blocks=4, norm="none")
    chosen = RECIPES["dt_fixup"](graph, mu=3.0)
    ratio = std(graph, chosen, "blocks.0.down.weight") / xavier(graph, "blocks.0.down.weight")
    assert ratio == pytest.approx(1 / sqrt(4 * (4 * 9 + 6 + 2)))


def test_deep_norm_constants_are_the_published_ones():
    alpha, beta = deep_norm_constants(12, 0)["encoder"]
    assert (alpha, beta) == (pytest.approx(2.2134, abs=1e-4), pytest.approx(0.3195, abs=1e-4))
    both = deep_norm_constants(18, 12)
    assert both["encoder"] == (
        pytest.approx(0.81 * (18**4 * 12) ** (1 / 16)),
        pytest.approx(0.87 * (18**4 * 12) ** (-1 / 16)),
    )
    assert both["decoder"] == (pytest.approx(36**0.25), pytest.approx(144**-0.25))


def test_deep_norm_and_sub_ln_scale_the_value_side_only():
    graph = language(blocks=4, norm="post")
    for chosen, gain in ((RECIPES["deep_norm"](graph), 32**-0.25), (RECIPES["sub_ln"](graph), sqrt(log(8)))):
        for name in ("v", "out", "up", "down"):
            ratio = std(graph, chosen, f"blocks.1.{name}.weight") / xavier(graph, f"blocks.1.{name}.weight")
            assert ratio == pytest.approx(gain)
        assert std(graph, chosen, "blocks.1.q.weight") == pytest.approx(xavier(graph, "blocks.1.q.weight"))


def test_a_fused_projection_gets_the_gain_on_its_value_part():
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = layer(x)
            return x

    graph = described(Fused(), (2, 5, 16))
    spec = RECIPES["deep_norm"](graph)["layers.0.self_attn.in_proj_weight"].spec
    parts = {part.name: part.spec for part in spec.parts((48, 16))}
    assert parts["q"].params.get("gain", 1.0) == 1.0
    assert parts["v"].params["gain"] == pytest.approx(32**-0.25)
    assert parts["v"].std((16, 16)) == pytest.approx(sqrt(2 / 32) * 32**-0.25)


def test_mup_sets_variances_and_rates_by_layer_type():
    graph = language(blocks=2, width=64)
    chosen = RECIPES["mup"](graph, base_width=16)
    assert std(graph, chosen, "blocks.0.q.weight") == pytest.approx(1 / 8)
    assert std(graph, chosen, "blocks.0.down.weight") == pytest.approx(1 / 16)
    assert chosen["blocks.0.q.weight"].learning_rate == {"adam": 0.25, "sgd": 1.0}
    assert chosen["table.weight"].learning_rate == {"adam": 1.0, "sgd": 4.0}
    assert chosen["blocks.0.q.bias"].learning_rate == {"adam": 1.0, "sgd": 4.0}
    assert chosen["head.weight"].spec.method == "zeros"
    readout = RECIPES["mup"](graph, base_width=16, zero_readout=False)
    assert std(graph, readout, "head.weight") == pytest.approx(sqrt(1 / 64) * 2)
    assert attention_scale(64, 64) == pytest.approx(1 / 8)
    assert attention_scale(128, 64) == pytest.approx(8 / 128)


def test_mup_coordinate_check():
    """Acceptance: after a few Adam steps the change of the hidden units does not grow or shrink with width."""
    slopes = {}
    for name in ("mup", "standard"):
        logs = []
        for width in (64, 256, 1024):
            model = nn.Sequential(
                nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4)
            )
            chosen = RECIPES["mup"](described(model, (2, 16)), base_width=64)
            groups = []
            for n, p in model.named_parameters():
                rate = 1.0
                if name == "mup":
                    layer = n.rpartition(".")[0]
                    p.data = torch.from_numpy(chosen[n].spec.draw(tuple(p.shape), Key(0, f"{layer} {width}")))
                    rate = chosen[n].learning_rate["adam"]
                groups.append({"params": [p], "lr": 1e-3 * rate})
            optimizer = torch.optim.Adam(groups)
            generator = torch.Generator().manual_seed(0)
            x, y = torch.randn(64, 16, generator=generator), torch.randint(0, 4, (64,), generator=generator)
            before = model[:3](x).detach()
            for _ in range(5):
                optimizer.zero_grad()
                logits = model(x) / (width / 64 if name == "mup" else 1.0)
                F.cross_entropy(logits, y).backward()
                optimizer.step()
            logs.append(float((model[:3](x).detach() - before).abs().mean().log()))
        slopes[name] = (logs[-1] - logs[0]) / log(1024 / 64)
    assert abs(slopes["mup"]) <= 0.1
    assert slopes["standard"] > 0.3


def test_vit_modes():
    graph = described(torchvision.models.vit_b_16())
    stem, fused = "conv_proj.weight", "encoder.layers.encoder_layer_0.self_attention.in_proj_weight"
    up = "encoder.layers.encoder_layer_0.mlp.0"
    timm, jax, moco = (RECIPES["vit"](graph, mode=mode) for mode in ("timm", "jax", "moco"))
    assert std(graph, timm, fused) == pytest.approx(0.02)
    assert std(graph, jax, fused) == pytest.approx(sqrt(1 / 768))
    assert std(graph, jax, stem) == pytest.approx(sqrt(1 / 768))
    assert jax[f"{up}.bias"].spec.params == {"std": 1e-6}
    assert timm[f"{up}.bias"].spec.method == "zeros"
    for chosen in (timm, jax, moco):
        assert chosen["heads.head.weight"].spec.method == "zeros"
        assert chosen["encoder.pos_embedding"].spec.method == "truncated_normal"
    with pytest.raises(UsageError, match="timm, jax and moco"):
        RECIPES["vit"](graph, mode="keras")


class Modulated(nn.Module):
    """A block of a diffusion transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.condition = nn.Linear(8, 16), nn.Linear(4, 16)
        self.modulation = nn.Linear(16, 48)
        self.norm = nn.LayerNorm(16, elementwise_affine=False)
        self.inside, self.final = nn.Linear(16, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        shift, scale, gate = self.modulation(F.silu(self.condition(c))).chunk(3, -1)
        x = x + gate * self.inside(self.norm(x) * (1 + scale) + shift)
        return self.final(x)


def test_adaln_zero_starts_as_the_identity():
    graph = described(Modulated(), (2, 8), (2, 4))
    chosen = RECIPES["adaln_zero"](graph, modulation="modulation")
    zero = {name for name, choice in chosen.items() if name.endswith("weight") and choice.spec.method == "zeros"}
    assert zero == {"modulation.weight", "final.weight"}
    assert chosen["inside.weight"].spec.method == "xavier_uniform"


class Adapted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(16, 16)
        self.lora_A, self.lora_B = nn.Linear(16, 4, bias=False), nn.Linear(4, 16, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + 2.0 * self.lora_B(self.lora_A(x))


def test_lora_draws_the_first_factor_and_zeroes_the_second():
    chosen = RECIPES["lora"](described(Adapted(), (2, 16)))
    assert {n: c.spec.method for n, c in chosen.items()} == {"lora_A.weight": "lora_a", "lora_B.weight": "lora_b"}


class Cell(nn.Module):
    def __init__(self, kind: type[nn.Module], **options: object) -> None:
        super().__init__()
        self.cell = kind(8, 12, batch_first=True, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x)[0]


def test_recurrent_draws_each_gate_and_opens_the_forget_gate_once():
    graph = described(Cell(nn.LSTM), (2, 5, 8))
    chosen = RECIPES["recurrent"](graph)
    hidden = chosen["cell.weight_hh_l0"].spec
    assert [part.spec.method for part in hidden.parts((48, 12))] == ["orthogonal"] * 4
    bias = chosen["cell.bias_hh_l0"].spec.draw((48,), Key(0, "b"))
    assert bias.reshape(4, 12).mean(1).tolist() == [0, 1, 0, 0]
    assert chosen["cell.bias_ih_l0"].spec.method == "zeros"
    chrono = RECIPES["recurrent"](graph, t_max=50.0)["cell.bias_hh_l0"].spec
    assert chrono.method == "chrono_bias"
    gru = RECIPES["recurrent"](described(Cell(nn.GRU), (2, 5, 8)))
    assert len(list(gru["cell.weight_hh_l0"].spec.parts((36, 12)))) == 3
    assert gru["cell.bias_hh_l0"].spec.method == "zeros"


def test_irnn_starts_as_a_copy_of_its_state():
    chosen = RECIPES["irnn"](described(Cell(nn.RNN, nonlinearity="relu"), (2, 5, 8)))
    assert chosen["cell.weight_hh_l0"].spec.method == "identity"
    assert chosen["cell.bias_hh_l0"].spec.method == "zeros"


def test_mimetic_pairs_share_their_noise():
    graph = language(blocks=2)
    chosen = RECIPES["mimetic"](graph, heads=2)
    value, output = (chosen[f"blocks.0.{n}.weight"].spec.draw((16, 16), Key(0, n)).astype(float) for n in ("v", "out"))
    product = output @ value
    assert product.trace() / 16 == pytest.approx(-0.4, abs=0.15)
    assert not any(name.startswith("table") for name in chosen)


def test_stack_recipes():
    model = nn.Sequential(*[m for _ in range(4) for m in (nn.Linear(16, 16), nn.ReLU())], nn.Linear(16, 3))
    graph = described(model, (2, 16))
    assert RECIPES["orthogonal"](graph)["2.weight"].spec.params["gain"] == pytest.approx(sqrt(2))
    sparse = RECIPES["sparse_orthogonal"](graph, density=0.3)
    assert sparse["0.weight"].spec.params == {"density": 0.3, "gain": pytest.approx(sqrt(2))}
    assert "8.weight" not in sparse
    residual = described(Plain(3), (2, 12))
    assert RECIPES["idinit"](residual)["b.0.weight"].spec.method == "idinit_zero"
    assert RECIPES["idinit"](residual)["a.0.weight"].spec.method == "idinit"
    assert RECIPES["zero"](residual)["b.2.weight"].spec.method == "zeros"
    assert RECIPES["siren"](graph)["0.weight"].spec.method == "siren_first"
    assert RECIPES["siren"](graph)["2.weight"].spec.method == "siren"


def test_moe_keeps_router_logits_small():
    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(16, 4)
            self.experts = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weight, index = self.router(x).softmax(-1).topk(1)
            every = torch.stack([expert(x) for expert in self.experts], 1)
            return weight * every.gather(1, index[..., None].expand(-1, -1, 16)).squeeze(1)

    graph = described(Mixture(), (2, 16))
    assert std(graph, RECIPES["moe"](graph), "router.weight") == pytest.approx(sqrt(0.1 / 16))


def test_a_parameter_that_a_recipe_does_not_have_is_refused():
    with pytest.raises(UsageError, match="no parameter 'sd'"):
        RECIPES["gpt2"](language(), sd=0.1)
