"""`check_clients`: what several clients hold, against figures that are known, and input that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import initadvisor
from initadvisor.analysis.clients import ClientTensor, client_facts
from initadvisor.errors import InitAdvisorError, UsageError


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))


def trained(state: dict, seed: int, size: float = 0.01) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {name: value + size * torch.randn(value.shape, generator=generator) for name, value in state.items()}


def rules(report) -> list[tuple[str, str]]:
    return [(finding.rule, finding.subject.name) for finding in report.findings]


def facts(*clients: np.ndarray):
    return client_facts([{"w": ClientTensor(c.shape, lambda c=c: c.ravel())} for c in clients])


@pytest.mark.parametrize("count", [2, 4, 16])
def test_the_average_of_independent_draws_has_one_nth_of_the_variance(count: int) -> None:
    draws = [np.random.default_rng(seed).normal(0, 0.3, (200, 200)) for seed in range(count)]
    group, each = facts(*draws)
    assert group.shrink == pytest.approx(count**-0.5, rel=0.02)
    assert group.shrink == pytest.approx(np.mean(draws, 0).std() / draws[0].std(), rel=0.02)
    assert group.correlation == pytest.approx(0.0, abs=0.02)
    assert not group.identical
    assert all(own.scale == pytest.approx(1.0, rel=0.05) for own in each)


def test_the_correlation_is_that_of_numpy() -> None:
    a, b = np.random.default_rng(0).normal(1.0, 0.3, (2, 20, 30))
    group, _ = facts(a, a + b)
    assert group.correlation == pytest.approx(np.corrcoef(a.ravel(), (a + b).ravel())[0, 1], rel=1e-9)


def test_clients_of_one_start_are_fine_untouched_and_trained() -> None:
    start = net().state_dict()
    assert initadvisor.check_clients([start, start, start]).verdict == "clean"
    report = initadvisor.check_clients([trained(start, seed) for seed in range(3)], server=start)
    assert report.verdict == "clean"
    assert not report.not_evaluated


def test_different_seeds_are_one_finding_with_the_loss_of_variance() -> None:
    report = initadvisor.check_clients([net(seed) for seed in range(4)])
    assert rules(report) == [("IA903", "")]
    assert "1/sqrt(n) = 0.5" in report.findings[0].message


def test_each_fault_names_its_client_and_tensor() -> None:
    start = net().state_dict()
    nan, large, stale = trained(start, 1), trained(start, 2), start
    nan["2.weight"][0, :3] = float("nan")
    large["0.weight"] *= 20
    odd = {**trained(start, 3), "2.weight": torch.zeros(5, 64), "extra": torch.zeros(3)}
    clients = {
        "a": trained(start, 4),
        "b": trained(start, 5),
        "nan": nan,
        "large": large,
        "stale": stale,
        "c": trained(start, 6),
    }
    report = initadvisor.check_clients(clients, server=start)
    assert set(rules(report)) == {("IA902", "nan"), ("IA904", "large"), ("IA905", "stale")}
    found = {f.rule: f for f in report.findings}
    assert "3 elements" in found["IA902"].message
    assert "2.weight" in found["IA902"].message
    assert "0.weight" in found["IA904"].message
    report = initadvisor.check_clients({**clients, "odd": odd})
    assert [row for row in rules(report) if row[0] == "IA901"] == [("IA901", "odd")]


def test_clients_come_as_files_too(tmp_path: Path) -> None:
    files = []
    for seed in (0, 0, 1):
        files.append(tmp_path / f"{len(files)}.safetensors")
        save_file(net(seed).state_dict(), files[-1])
    torch.save(net(0).state_dict(), tmp_path / "more.pt")
    assert initadvisor.check_clients(files[:2]).verdict == "clean"
    assert initadvisor.check_clients([files[0], str(tmp_path / "more.pt"), net(0)]).verdict == "clean"
    assert ("IA903", "") in rules(initadvisor.check_clients([files[0], files[2]]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_float_type_is_read(dtype: torch.dtype) -> None:
    start = net().to(dtype).state_dict()
    assert initadvisor.check_clients([start, trained(start, 0)]).verdict == "clean"


@pytest.mark.parametrize(
    ("clients", "said"),
    [
        ([], "0 client"),
        ([{"w": torch.zeros(3)}], "1 client"),
        ([{"w": torch.zeros(3)}, {}], "client 1 holds no float tensor"),
        ([{"w": torch.zeros(3)}, 5], "client 1 is int"),
        ([{"w": torch.zeros(3)}, {"n": torch.tensor([1])}], "no float tensor"),
        ("model.pt", "not a list"),
        (3, "not a list"),
    ],
)
def test_what_cannot_be_compared_is_said(clients, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        initadvisor.check_clients(clients)


def test_odd_values_are_no_crash(tmp_path: Path) -> None:
    zeros, huge = {"w": torch.zeros(20, 20)}, {"w": torch.full((20, 20), 3e38)}
    both = {"w": torch.full((20, 20), float("inf"))}
    for clients in ([zeros, zeros], [huge, huge], [zeros, huge, both], [{"s": torch.tensor(1.0)}] * 2):
        initadvisor.check_clients(clients, server=zeros)
    (tmp_path / "cut.safetensors").write_bytes(b"\x08")
    with pytest.raises(InitAdvisorError):
        initadvisor.check_clients([zeros, tmp_path / "cut.safetensors"])
