"""Dormant units: found by their activity, drawn anew while the network keeps its function."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import initadvisor
from initadvisor.apply.data_driven import dormant_units, revive
from initadvisor.plan import overrides
from tests.apply.data_driven.test_data_driven import chain, data
from tests.plan.plans import plan_of


def dead(model: nn.Sequential) -> nn.Sequential:
    """The same net with three units of its second layer that never fire."""
    with torch.no_grad():
        model[2].bias[[1, 5, 7]] = -100.0
    return model


def test_dormant_units_are_found_by_their_activity():
    dormant = dormant_units(dead(chain(3)), data()[0])
    assert dormant["2"].nonzero().flatten().tolist() == [1, 5, 7]
    assert not dormant["0"].any()


def test_revived_units_fire_again_and_the_function_is_unchanged():
    model, (x, _) = dead(chain(3)), data()
    before, other = model(x), model[2].weight.detach().clone()
    dormant = {name: units for name, units in dormant_units(model, x, tau=0.0).items() if units.any()}
    assert dormant["2"].nonzero().flatten().tolist() == [1, 5, 7]
    revived = revive(model, x, tau=0.0)
    assert revived.units == {name: int(units.sum()) for name, units in dormant.items()}
    assert torch.allclose(model(x), before, atol=1e-5)
    assert not dormant_units(model, x, tau=0.0)["2"].any()
    awake = ~dormant.get("4", torch.zeros(32, dtype=torch.bool))
    assert not model[4].weight[awake][:, [1, 5, 7]].any()
    keep = [i for i in range(32) if i not in (1, 5, 7)]
    assert torch.equal(model[2].weight[keep], other[keep])
    assert "2" not in revive(model, x, tau=0.0).units


def test_in_the_middle_of_training_what_was_learned_stays_and_the_moments_of_the_dead_are_forgotten():
    model, (x, y) = chain(3), data()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    dead(model)
    loss = float(F.cross_entropy(model(x), y).detach())
    draws = []
    for number in (0, 1):
        with torch.no_grad():
            model[2].bias[1] = -100.0
        assert revive(model, x, tau=0.0, optimizer=optimizer, number=number).units["2"] >= 1
        draws.append(model[2].weight[1].detach().clone())
        assert float(F.cross_entropy(model(x), y).detach()) == pytest.approx(loss, rel=1e-4)
    assert not torch.equal(*draws)
    moment = optimizer.state[model[2].weight]["exp_avg"]
    assert not moment[[1, 5, 7]].any()
    assert moment[0].any()
    assert not optimizer.state[model[4].weight]["exp_avg"][:, [1, 5, 7]].any()
    std = float(model[2].weight[[1, 5, 7]].detach().std())
    assert std == pytest.approx((2 / 32) ** 0.5, rel=0.25)  # He's, over 96 elements


def test_units_behind_a_convolution_and_a_flatten_are_revived_with_all_their_places():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 5))
    with torch.no_grad():
        model[0].bias[2] = -50.0
    x = torch.randn(16, 1, 8, 8)
    before = model(x)
    assert revive(model, x).units == {"0": 1}
    assert torch.allclose(model(x), before, atol=1e-5)
    assert not model[3].weight[:, 72:108].any()
    assert model[3].weight[:, :72].all()


def test_units_behind_a_batch_norm_are_judged_behind_it_and_start_with_a_fresh_one():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
    )
    with torch.no_grad():
        model[1].bias[3] = -50.0
        model[0].bias[2] = -50.0  # which the norm takes out again: no dormant unit
    x = torch.randn(16, 2, 8, 8)
    assert dormant_units(model, x)["0"].nonzero().flatten().tolist() == [3]
    state = model[1].running_mean.clone()
    assert revive(model, x).units["0"] == 1
    assert [t[3].item() for t in (model[1].bias, model[1].weight, model[1].running_var)] == [0.0, 1.0, 1.0]
    assert torch.equal(model[1].running_mean[:3], state[:3])
    assert "0" not in {name for name, units in dormant_units(model, x).items() if units.any()}


class Permuted(nn.Module):
    """A convolution whose channels come last before they are flattened: unit c is no stretch of the next layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 6, 3), nn.Linear(6 * 36, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).relu().permute(0, 2, 3, 1).flatten(1))


class Skipped(nn.Module):
    """A layer whose units are also added to the output."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x).relu()
        return self.second(h) + h


@pytest.mark.parametrize(("build", "name", "shape"), [(Permuted, "conv", (1, 8, 8)), (Skipped, "first", (8,))])
def test_where_units_are_not_what_they_seem_everything_is_put_back(build, name, shape):
    torch.manual_seed(0)
    model, x = build(), torch.randn(16, *shape)
    with torch.no_grad():
        model.get_submodule(name).bias[2] = -50.0
    before = {key: value.clone() for key, value in model.state_dict().items()}
    revived = revive(model, x)
    assert name in revived.skipped
    assert not revived.units
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_a_plan_decides_how_they_are_drawn_and_may_leave_them():
    model, (x, _) = dead(chain(3)), data()
    plan = plan_of(model, (2, 32), policy=overrides({"2": "keep"}))
    assert "2" in revive(model, x, plan=plan).skipped
    plan = plan_of(model, (2, 32), policy=overrides({"2.weight": {"method": "constant", "value": 0.25}}))
    assert revive(model, x, plan=plan).units["2"] == 3
    assert (model[2].weight[[1, 5, 7]] == 0.25).all()


def test_a_revival_leaves_the_random_state_the_modes_and_the_other_tensors_alone():
    model, (x, _) = dead(chain(3)), data()
    model.append(nn.Dropout(0.5))
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    assert revive(model, [x], tau=0.0).units
    assert torch.equal(torch.get_rng_state(), state)
    assert all(child.training for child in model.modules())
    assert torch.equal(model[0].weight, before["0.weight"])


def test_the_methods_are_found_from_the_package():
    assert initadvisor.apply.data_driven.revive is revive
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = initadvisor.apply.nothing
