"""Batch norms exchanged: what keeps the function keeps it, what does not says so, and closed forms hold."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

import initadvisor
from initadvisor.apply.norms import BatchChannelNorm, FrozenBatchNorm, convert_norms, group_count
from initadvisor.errors import UsageError


def _net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    for norm in (net[1], net[4]):
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 3)
    return net


@pytest.mark.parametrize("kind", ["frozen", "sync"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_said_to_keep_the_function_keeps_it(kind: str, seed: int, dtype: torch.dtype) -> None:
    net = _net(seed).to(dtype).eval()
    x = torch.randn(4, 3, 12, 12, dtype=dtype)
    before = net(x)
    done = initadvisor.convert_norms(net, kind)
    assert done.keeps_function
    assert set(done.norms) == {"1", "4"}
    torch.testing.assert_close(net.eval()(x), before, rtol=1e-5, atol=1e-5)


def test_frozen_stays_frozen_in_training_and_keeps_the_keys_of_a_checkpoint() -> None:
    net = _net()
    keys = set(net.state_dict())
    x = torch.randn(4, 3, 12, 12)
    before = net.eval()(x)
    convert_norms(net, "frozen")
    net.train()
    torch.testing.assert_close(net(x), before, rtol=1e-5, atol=1e-5)
    net(x).sum().backward()
    assert set(net.state_dict()) == keys
    assert not list(net[1].parameters())
    assert net[0].weight.grad is not None
    other = _net(1)
    net.load_state_dict(other.state_dict())
    torch.testing.assert_close(net(x), other.eval()(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(64, 8), (256, 32), (512, 32), (32, 4), (16, 2), (8, 1), (7, 1), (24, 3), (1000, 25), (1, 1)],
)
def test_group_counts(channels: int, groups: int) -> None:
    assert group_count(channels) == groups
    assert channels % groups == 0


@pytest.mark.parametrize(("kind", "groups"), [("group", 4), ("layer", 1)])
def test_group_norms_are_what_their_formula_says(kind: str, groups: int) -> None:
    norm = _net()[4]
    holder = nn.Sequential(copy.deepcopy(norm))
    done = convert_norms(holder, kind, groups=None)  # type: ignore[arg-type]
    assert not done.keeps_function
    x = torch.randn(5, 32, 6, 7, dtype=torch.float64)
    holder.double()
    parts = x.reshape(5, groups, -1)
    var, mean = torch.var_mean(parts, 2, unbiased=False, keepdim=True)
    expected = ((parts - mean) / (var + norm.eps).sqrt()).reshape(x.shape)
    expected = expected * norm.weight.double().view(1, -1, 1, 1) + norm.bias.double().view(1, -1, 1, 1)
    torch.testing.assert_close(holder(x), expected)


def test_batch_channel_norm_is_a_group_norm_of_the_batch_norm() -> None:
    norm = _net()[4].eval()
    x = torch.randn(3, 32, 5, 5)
    both = BatchChannelNorm(copy.deepcopy(norm), 4).eval()
    torch.testing.assert_close(both(x), nn.functional.group_norm(norm(x), 4, eps=norm.eps))
    both.train()
    old = both.running_mean.clone()
    both(x).sum().backward()
    torch.testing.assert_close(both.running_mean, old + 0.1 * (x.mean((0, 2, 3)) - old))
    assert both.weight.grad is not None


@pytest.mark.parametrize("seed", range(3))
def test_without_norms_standardised_weights_hold_the_variance(seed: int) -> None:
    torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.Linear(64, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()]
    for _ in range(8):
        layers += [nn.Linear(256, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()]
    net = nn.Sequential(*layers)
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.3, 5.0)  # any draw will do
    done = convert_norms(net, "none")
    assert len(done.norms) == 9
    assert not any(isinstance(layer, nn.BatchNorm1d) for layer in net)
    pre = net[:-1](torch.randn(512, 64))
    assert pre.std().item() == pytest.approx(math.sqrt(2 / (1 - 1 / math.pi)), rel=0.15)


def test_a_norm_that_stands_alone_is_left_and_named() -> None:
    net = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 8))
    done = convert_norms(net, "none")
    assert "right before" in done.skipped["0"]
    assert isinstance(net[0], nn.BatchNorm1d)
    nothing = nn.Sequential(nn.BatchNorm1d(8, track_running_stats=False))
    assert "without running statistics" in convert_norms(nothing, "frozen").skipped["0"]


def test_only_what_the_glob_names_is_exchanged() -> None:
    net = _net()
    assert set(convert_norms(net, "group", only="4").norms) == {"4"}
    assert isinstance(net[1], nn.BatchNorm2d)


def test_an_optimizer_goes_on_with_the_parameters_it_holds() -> None:
    net = _net()
    held = {id(parameter) for parameter in net.parameters()}
    for kind in ("group", "layer", "sync"):
        convert_norms(net, kind)  # type: ignore[arg-type]
        assert {id(p) for p in net.parameters()} <= held


@pytest.mark.parametrize(("kind", "options", "said"), [("grup", {}, "group"), ("group", {"groups": 5}, "would")])
def test_what_cannot_be_done_is_refused(kind: str, options: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        convert_norms(_net(), kind, **options)  # type: ignore[arg-type]
    assert said in f"{caught.value} {caught.value.hint}"


def test_shape_and_mode_are_kept() -> None:
    net = _net().eval()
    convert_norms(net, "frozen")
    assert isinstance(net[1], FrozenBatchNorm)
    assert not net[1].training
    assert net(torch.randn(2, 3, 12, 12)).shape == (2, 10)
