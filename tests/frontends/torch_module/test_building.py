"""Building without weights: large tensors have no numbers and cost nothing, small ones keep theirs."""

from __future__ import annotations

import resource

import torch
from torch import nn

from initadvisor.frontends.torch_module import load
from initadvisor.frontends.torch_module.building import Weightless, forget_unfilled


class Model(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequency", 1.0 / 10_000 ** (torch.arange(0, 64, 2) / 64))
        self.norm, self.up = nn.LayerNorm(64), nn.Linear(64, width)
        nn.init.trunc_normal_(self.up.weight, std=0.02)
        nn.init.orthogonal_(self.norm.weight.data[None].expand(64, 64).clone())
        self.rates = torch.linspace(0, 0.1, 4).tolist()
        with torch.no_grad():
            self.up.weight.mul_(0.5).add_(torch.randn(width, 64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        angles = torch.outer(torch.arange(x.shape[0]).float(), self.frequency)
        return self.up(self.norm(x)) * self.rates[-1] + angles.sum()


def test_large_weights_have_no_numbers_and_small_ones_do() -> None:
    with Weightless():
        model = Model(100_000)
    assert model.up.weight.is_meta
    assert torch.equal(model.norm.weight, torch.ones(64))
    assert not model.frequency.is_meta
    assert model.rates[-1] > 0.09
    graph = load(model)
    assert graph.coverage.capture == "virtual"
    assert graph.parameters["up.weight"].source is None
    assert graph.parameters["norm.weight"].source is not None


def test_a_hundred_gigabytes_cost_nothing() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Weightless():
        model = nn.Sequential(*(nn.Linear(65_536, 65_536) for _ in range(6)))
    assert sum(p.numel() * p.element_size() for p in model.parameters()) > 100e9
    assert [n.op for n in load(model).nodes] == ["linear"] * 6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_outside_the_mode_nothing_has_changed() -> None:
    with Weightless():
        pass
    layer = nn.Linear(1000, 1000)
    assert not layer.weight.is_meta
    assert float(layer.weight.detach().std()) > 0


def test_tensors_without_numbers_may_be_moved_and_cast() -> None:
    class Moves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            table = torch.zeros(1000, 100)
            small = torch.zeros(2, dtype=torch.float16)
            self.register_buffer("halved", table.to(device="cpu", dtype=torch.float16))
            self.register_buffer("like", table.to(small).cpu())
            self.register_buffer("same", table.to("cpu"))

    with Weightless():
        module = Moves()
    types = {name: buffer.dtype for name, buffer in module.named_buffers()}
    assert types == {"halved": torch.float16, "like": torch.float16, "same": torch.float32}
    assert all(buffer.is_meta for buffer in module.buffers())


class Tables(nn.Module):
    """Fills its table only where its weight has numbers, as some libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(64, 100_000)
        self.register_buffer("table", torch.empty(9, 2), persistent=False)
        self.register_buffer("filled", torch.empty(3).fill_(0.5))
        if not self.up.weight.is_meta:
            self.table.copy_(torch.ones(9, 2))


def test_what_was_never_filled_has_no_numbers() -> None:
    with Weightless():
        model = Tables()
    forget_unfilled(model)
    assert model.table.is_meta
    assert model.table.shape == (9, 2)
    assert torch.equal(model.filled, torch.full((3,), 0.5))
