"""Stock models: every parameter in exactly one layer, with its fans, activation, norms and role."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import pytest
import torch
import torchvision
from graphs import activation, by_name, recorded, spans

from initadvisor.graph import Graph, Layer


@lru_cache(maxsize=16)
def graph_of(name: str) -> Graph:
    """The described graph of a torchvision model."""
    return recorded(torchvision.models.get_model_builder(name)(weights=None), torch.zeros(1, 3, 224, 224))


def layers_of(name: str) -> dict[str, Layer]:
    """Its layers by name."""
    return by_name(graph_of(name))


MODELS = (
    "resnet18",
    "vgg11_bn",
    "vit_b_16",
    "convnext_tiny",
    "efficientnet_b0",
    "mobilenet_v3_small",
    "swin_t",
    "densenet121",
)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_in_exactly_one_layer_with_its_fans(name: str) -> None:
    graph = graph_of(name)
    held = Counter(p for layer in graph.layers for p in (layer.weight, layer.bias) if p is not None)
    wanted = {n for n, p in graph.parameters.items() if p.is_float and not p.buffer}
    assert set(held) == wanted
    assert set(held.values()) == {1}
    assert (graph.coverage.parameters, graph.coverage.operators) == (1.0, 1.0)
    for layer in graph.layers:
        if layer.kind == "linear":
            assert layer.fan_in
            assert layer.fan_out
            assert layer.activation is not None
            assert layer.activation.name != "unknown"
            assert layer.depth


@pytest.mark.parametrize("name", MODELS)
def test_convolutions_have_the_fans_of_their_modules(name: str) -> None:
    model = torchvision.models.get_model_builder(name)(weights=None)
    layers = layers_of(name)
    seen = 0
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            kernel = module.kernel_size[0] * module.kernel_size[1]
            stride = module.stride[0] * module.stride[1]
            assert layers[path].fan_in == module.in_channels / module.groups * kernel
            assert layers[path].fan_out == module.out_channels / module.groups * kernel / stride
            assert layers[path].groups == module.groups
            assert layers[path].bias == (f"{path}.bias" if module.bias is not None else None)
            seen += 1
        elif isinstance(module, torch.nn.Linear) and type(module) is torch.nn.Linear:
            assert layers[path].fan_in == module.in_features
            seen += 1
    assert seen > 8


@pytest.mark.parametrize(
    ("name", "adds"),
    [
        ("resnet18", 8),
        ("vgg11_bn", 0),
        ("vit_b_16", 24),
        ("convnext_tiny", 18),
        ("efficientnet_b0", 9),
        ("mobilenet_v3_small", 6),
        ("swin_t", 24),
        ("densenet121", 0),
    ],
)
def test_every_residual_add_is_found_with_its_end(name: str, adds: int) -> None:
    graph = graph_of(name)
    assert graph.summary["residual_adds"] == adds
    assert all(block["ends"] for block in graph.summary["blocks"])


def test_resnet18() -> None:
    layers = layers_of("resnet18")
    assert [n for n, x in layers.items() if x.role == "stem"] == ["conv1"]
    assert [n for n, x in layers.items() if x.role == "head"] == ["fc"]
    ends = {n for n, x in layers.items() if x.residual_role == "branch_end"}
    assert ends == {f"layer{i}.{j}.{end}" for i in range(1, 5) for j in range(2) for end in ("conv2", "bn2")}
    assert activation(layers["layer1.0.conv1"]) == "relu"
    assert layers["layer1.0.conv1"].norm_after == "layer1.0.bn1"
    assert all(x.scale_invariant for n, x in layers.items() if x.kind == "linear" and n != "fc")
    assert layers["fc"].depth == 18
    assert layers["layer2.0.downsample.0"].residual_role == "trunk"


def test_vgg11_bn() -> None:
    layers = layers_of("vgg11_bn")
    assert [activation(layers[f"classifier.{i}"]) for i in (0, 3, 6)] == ["relu", "relu", "linear"]
    assert layers["features.0"].scale_invariant
    assert layers["features.0"].bias == "features.0.bias"  # which the batch norm subtracts again
    assert layers["classifier.3"].attrs["stretch_previous"] == ("classifier.0",)
    assert layers["classifier.0"].fan_in == 25088
    assert {x.residual_role for x in layers.values()} == {None}


def test_vit_b_16() -> None:
    layers = layers_of("vit_b_16")
    for i in range(12):
        block = f"encoder.layers.encoder_layer_{i}"
        packed = layers[f"{block}.self_attention.in_proj_weight"]
        assert spans(packed) == [("q", 0, 768), ("k", 768, 1536), ("v", 1536, 2304)]
        assert (packed.role, packed.fan_out, packed.norm_before) == ("qkv", 768, f"{block}.ln_1")
        assert layers[f"{block}.self_attention.out_proj"].role == "attention_out"
        assert (layers[f"{block}.mlp.0"].role, activation(layers[f"{block}.mlp.0"])) == ("mlp_in", "gelu")
        assert (layers[f"{block}.mlp.3"].role, layers[f"{block}.mlp.3"].residual_role) == ("mlp_out", "branch_end")
    assert (layers["class_token"].role, layers["encoder.pos_embedding"].role) == ("token", "position")
    assert (layers["heads.head"].role, layers["heads.head"].norm_before) == ("head", "encoder.ln")
    assert not any(x.scale_invariant for x in layers.values() if x.kind == "linear")


def test_convnext_tiny() -> None:
    layers = layers_of("convnext_tiny")
    depthwise = layers["features.1.0.block.0"]
    assert (depthwise.groups, depthwise.fan_in, depthwise.norm_after) == (96, 49, "features.1.0.block.2")
    scale = layers["features.1.0.layer_scale"]
    assert (scale.kind, scale.role, scale.residual_role) == ("scale", "layer_scale", "branch_end")
    assert layers["features.0.1"].op == "layer_norm"
    assert layers["features.0.0"].scale_invariant


def test_efficientnet_b0_and_mobilenet_v3_small() -> None:
    layers = layers_of("efficientnet_b0")
    squeeze = [x for x in layers.values() if x.role == "squeeze_excite"]
    assert len(squeeze) == 2 * 16
    gate = layers["features.2.0.block.2.fc2"].activation
    assert gate is not None
    assert (gate.name, gate.gated) == ("sigmoid", True)
    assert activation(layers["features.2.0.block.1.0"]) == "silu"  # not the gate's
    small = layers_of("mobilenet_v3_small")
    found = Counter(activation(x) for x in small.values() if x.kind == "linear")
    assert set(found) == {"relu", "hardswish", "hardsigmoid", "linear"}
    assert len([x for x in small.values() if x.role == "squeeze_excite"]) == 2 * 9


def test_swin_t() -> None:
    layers = layers_of("swin_t")
    tables = [x for n, x in layers.items() if n.endswith("relative_position_bias_table")]
    assert len(tables) == 12
    assert {(x.kind, x.role) for x in tables} == {("table", "relative_position")}
    fused = [x for n, x in layers.items() if n.endswith("attn.qkv")]
    assert {tuple(b.name for b in x.blocks) for x in fused} == {("q", "k", "v")}
    assert all(x.fan_out == x.fan_in for x in fused)


def test_densenet121() -> None:
    layers = layers_of("densenet121")
    inner = [x for n, x in layers.items() if n.endswith(".conv2")]
    assert len(inner) == 58
    assert {activation(x) for x in inner} == {"relu"}  # through concatenation and the next norm
    assert all(x.scale_invariant for x in inner)  # batch norm treats each channel by itself
