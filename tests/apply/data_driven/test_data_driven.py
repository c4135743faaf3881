"""The data-driven starts: what each promises, on nets where it can be measured."""

from __future__ import annotations

from statistics import median

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from initadvisor.apply.data_driven import (
    gradient_quotient,
    gradinit,
    kraehenbuehl,
    lsuv,
    metainit,
    weight_norm_start,
)
from initadvisor.apply.data_driven.observe import by_channel, executed, output_of
from initadvisor.errors import UsageError


def chain(depth: int, width: int = 32, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    model = nn.Sequential(*layers, nn.Linear(width, 5))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


def data(count: int = 128, width: int = 32, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator), torch.randint(0, 5, (count,), generator=generator)


def test_lsuv_brings_a_twenty_layer_net_to_unit_variance():
    """Acceptance: variance 1.00 to 1.01 and at most one correction a layer on a 20-layer ReLU net."""
    model, (x, _) = chain(20), data()
    reached = lsuv(model, x, tries=1)
    assert len(reached) == 21
    for name, layer in executed(model, x):
        assert float(output_of(model, layer, x).std()) == pytest.approx(1.0, abs=0.1), name


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(3, 8, 3), nn.Conv2d(4, 8, 3, groups=2), nn.ConvTranspose2d(4, 6, 4, stride=2)]
)
def test_lsuv_takes_convolutions(layer):
    x = 5 * torch.randn(4, layer.in_channels, 9, 9)
    reached = lsuv(nn.Sequential(layer), x)
    assert reached["0"] == pytest.approx(1.0, abs=0.1)


def test_lsuv_leaves_frozen_layers_buffers_modes_and_the_random_state():
    model = nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(32), nn.Dropout(0.5), nn.Linear(32, 5)).train()
    model[0].weight.requires_grad_(False)
    before, state = {n: t.clone() for n, t in model.state_dict().items()}, torch.get_rng_state()
    lsuv(model, data()[0])
    after = model.state_dict()
    for name in ("0.weight", "1.running_mean", "1.running_var", "1.num_batches_tracked"):
        assert torch.equal(after[name], before[name]), name
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not model[0]._forward_hooks


def test_a_module_without_layers_is_refused():
    with pytest.raises(UsageError, match="calls no linear or convolution layer"):
        lsuv(nn.Sequential(nn.ReLU()), torch.randn(2, 3))


def test_shared_and_computed_weights_are_scaled_once_or_not_at_all():
    model, (x, _) = chain(3), data()
    model[2].weight = model[0].weight
    assert "2" not in lsuv(model, x)
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(32, 8)), nn.ReLU(), nn.Linear(8, 5))
    before = normed[0].weight.detach().clone()
    assert set(lsuv(normed, x)) == {"2"}
    assert torch.equal(normed[0].weight.detach(), before)


def test_lsuv_sees_through_dropout_and_names_the_layer_that_is_not_finite():
    model, (x, _) = nn.Sequential(nn.Linear(32, 64), nn.Dropout(0.9), nn.Linear(64, 5)).train(), data()
    lsuv(model, x)
    assert float(model.eval()[2](model[0](x)).detach().std()) == pytest.approx(1.0, abs=0.1)
    with pytest.raises(UsageError, match="the output of 0 is not finite"):
        lsuv(model, x * float("inf"))


def test_kraehenbuehl_gives_unit_channels_and_then_equal_rates():
    model, (x, _) = chain(5), data(512)
    with torch.no_grad():
        model[4].weight.mul_(30)
    rates = list(kraehenbuehl(model, x, rounds=200).values())
    assert max(rates) / min(rates) <= 1.011
    channels = by_channel(output_of(model, model[0], x), model[0])
    spread = channels.std(1) / channels.std(1).mean()
    assert spread.numpy() == pytest.approx(1.0, rel=1e-4)  # equal channels, whatever the common scale is now
    only = chain(5)
    kraehenbuehl(only, x, rounds=0)
    for name, layer in executed(only, x):
        channels = by_channel(output_of(only, layer, x), layer)
        alive = channels.std(1) > 1e-6
        assert channels.std(1)[alive].numpy() == pytest.approx(1.0, rel=1e-3), name
        assert channels.mean(1)[alive].abs().max() < 1e-3, name


def test_weight_norm_start_centres_and_scales_every_channel():
    """Acceptance: mean below 1e-6, std 1."""
    torch.manual_seed(0)
    norm = torch.nn.utils.parametrizations.weight_norm
    model = nn.Sequential(
        norm(nn.Linear(32, 24)), nn.ReLU(), norm(nn.Linear(24, 16)), nn.ReLU(), nn.Linear(16, 5)
    ).double()
    x = data(1000)[0].double()
    assert set(weight_norm_start(model, x)) == {"0", "2"}
    for layer in (model[0], model[2]):
        channels = by_channel(output_of(model, layer, x), layer)
        assert channels.mean(1).abs().max() < 1e-6
        assert channels.std(1, correction=0).numpy() == pytest.approx(1.0, rel=1e-6)
    with pytest.raises(UsageError, match="no weight-normalised layer"):
        weight_norm_start(chain(2), x.float())
    with pytest.raises(UsageError, match="not one an output channel"):
        weight_norm_start(norm(nn.ConvTranspose1d(4, 4, 3)), torch.randn(2, 4, 9))


def test_the_gradient_quotient_is_that_of_a_quadratic():
    """For loss a w^2 / 2: g = a w, H g = a^2 w, so the quotient is abs(1 - a - 1) = a."""
    model = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(3.0)
    for a in (0.5, 2.0):
        quotient = gradient_quotient(
            model, torch.ones(1, 1, dtype=torch.float64), None, lambda y, _, a=a: a * y.square().sum() / 2, epsilon=0.0
        )
        assert float(quotient.detach()) == pytest.approx(a)


def test_metainit_lowers_the_quotient_of_a_net_drawn_too_large_and_keeps_directions():
    model, batches = chain(4), [data(64, seed=seed) for seed in range(125)]
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
    before = model[2].weight.detach().clone()
    seen = metainit(model, batches, F.cross_entropy, steps=125)
    # The quotient of one batch is a heavy-tailed number: medians over batches are compared.
    assert median(seen[-25:]) < 0.1 * median(seen[:25])
    cosine = F.cosine_similarity(before.flatten(), model[2].weight.detach().flatten(), dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-5)


def test_metainit_stops_at_a_loss_without_curvature_and_turns_no_direction_round():
    model = nn.Linear(4, 1, bias=False)
    before = model.weight.detach().clone()
    assert len(metainit(model, [(torch.ones(2, 4), None)], lambda y, _: y.mean(), steps=3)) == 1
    assert torch.equal(model.weight.detach(), before)
    metainit(model, [(torch.ones(2, 4), None)], lambda y, _: y.square().mean(), steps=40, rate=0.3)
    assert float(F.cosine_similarity(before, model.weight.detach())) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("method", [metainit, gradinit])
def test_what_a_loss_driven_start_cannot_use_is_refused_and_nothing_changes(method):
    model, (x, y) = chain(2), data(16)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for batches, said in (([], "there is no batch"), ([x], "not pairs"), ([(x * float("nan"), y)], "is nan")):
        with pytest.raises(UsageError, match=said):
            method(model, batches, F.cross_entropy, steps=2)
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_parameter_that_the_loss_does_not_reach_is_no_obstacle():
    model = chain(2)
    model.extra = nn.Linear(3, 3)
    model.forward = lambda x: model[4](model[3](model[2](model[1](model[0](x)))))
    batches = [data(16, seed=seed) for seed in range(2)]
    assert len(metainit(model, batches, F.cross_entropy, steps=2)) == 2
    assert gradinit(model, batches, F.cross_entropy, steps=2)["extra.weight"] == 1.0


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_gradinit_makes_the_first_step_better_and_bounds_the_gradient(optimizer):
    model, batches = chain(6), [data(64, seed=s) for s in range(4)]
    with torch.no_grad():
        model[2].weight.mul_(8.0)

    def first_step() -> tuple[float, float]:
        loss = F.cross_entropy(model(batches[0][0]), batches[0][1])
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        norms = [float(g.abs().sum() if optimizer == "adam" else g.square().sum()) for g in gradients]
        norm = sum(norms) if optimizer == "adam" else sum(norms) ** 0.5
        step = 1e-3 if optimizer == "adam" else 0.1
        moved = {n: p - step * (g.sign() if optimizer == "adam" else g)
                 for (n, p), g in zip(model.named_parameters(), gradients, strict=True)}  # fmt: skip
        after = F.cross_entropy(torch.func.functional_call(model, moved, (batches[1][0],)), batches[1][1])
        return float(after.detach()), norm

    gamma = 1.0 if optimizer == "sgd" else 20.0
    before, norm = first_step()
    assert norm > gamma
    step = 1e-3 if optimizer == "adam" else 0.1
    factors = gradinit(
        model, batches, F.cross_entropy, optimizer=optimizer, step_size=step, gamma=gamma, rate=0.02, steps=150
    )
    after, bounded = first_step()
    assert after < before
    assert bounded < norm / 2
    assert factors["2.weight"] < 1.0
    assert min(factors.values()) >= 0.01
