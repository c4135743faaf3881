"""What a check knows of the training to come, and which of the rules on norms speaks then."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import initadvisor

NORMS = ("IA405", "IA406", "IA407", "IA408", "IA409")


def _net(norm: type[nn.Module] = nn.BatchNorm2d) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), norm(32), nn.ReLU(), nn.Conv2d(32, 64, 3), norm(64), nn.ReLU(), nn.Flatten(),
        nn.Linear(64 * 144, 10),
    )  # fmt: skip


def _rules(model: nn.Module, **training: int) -> dict[str, list[str]]:
    report = initadvisor.check(model, input_shape=(8, 3, 16, 16), select=NORMS, **training)
    found: dict[str, list[str]] = {}
    for finding in report.findings:
        found.setdefault(finding.rule, []).append(finding.message)
    return found


@pytest.mark.parametrize(
    ("training", "rules"),
    [
        ({}, set()),
        ({"batch_size": 2}, {"IA406"}),
        ({"batch_size": 7}, {"IA406"}),
        ({"batch_size": 8}, set()),
        ({"batch_size": 2, "devices": 2}, {"IA406"}),
        ({"batch_size": 2, "devices": 4}, {"IA407"}),
        ({"batch_size": 16, "devices": 4}, set()),
    ],
)
def test_batch_and_devices_decide_what_is_said(training: dict[str, int], rules: set[str]) -> None:
    assert set(_rules(_net(), **training)) == rules


def test_the_group_count_is_the_one_that_the_conversion_takes() -> None:
    told = _rules(_net(), batch_size=2)["IA406"]
    net = _net()
    initadvisor.convert_norms(net, "group")
    groups = [layer.num_groups for layer in net if isinstance(layer, nn.GroupNorm)]
    assert [f"a group norm of {count} groups" in text for count, text in zip(groups, told, strict=True)] == [True, True]


@pytest.mark.parametrize("kind", ["group", "layer", "batch_channel", "ws", "frozen"])
def test_each_conversion_answers_the_finding(kind: str) -> None:
    net = _net()
    initadvisor.convert_norms(net, kind)  # type: ignore[arg-type]
    assert _rules(net, batch_size=2) == {}


def test_synchronised_norms_count_the_samples_of_all_devices() -> None:
    net = nn.SyncBatchNorm.convert_sync_batchnorm(_net())
    assert _rules(net, batch_size=2, devices=8) == {}
    assert set(_rules(net, batch_size=2, devices=2)) == {"IA406"}


def test_a_norm_that_does_not_train_is_left_in_peace() -> None:
    net = _net()
    net[1].eval()
    assert len(_rules(net, batch_size=2)["IA406"]) == 1


def test_statistics_of_other_weights_are_found_and_own_ones_are_not() -> None:
    net = _net()
    with torch.no_grad():
        for _ in range(50):
            net(torch.randn(32, 3, 16, 16))
    assert _rules(net) == {}
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=3.0)
    assert set(_rules(net)) == {"IA409"}


def test_the_settings_are_part_of_the_digest_only_where_they_are_given() -> None:
    plain = initadvisor.check(_net(), input_shape=(8, 3, 16, 16)).settings_digest
    assert plain != initadvisor.check(_net(), input_shape=(8, 3, 16, 16), batch_size=2).settings_digest
