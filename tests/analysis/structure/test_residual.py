"""Residual adds: streams, branches, their ends; and the adds that are none."""

from __future__ import annotations

import pytest
import torch
from graphs import Sketch, by_name, recorded
from torch import nn
from torch.nn import functional as F

from initadvisor.graph import Graph


def _roles(graph: Graph) -> dict[str, str | None]:
    return {layer.name: layer.residual_role for layer in graph.layers}


class Bottleneck(nn.Module):
    """conv-norm-relu-conv-norm beside an identity or a projection."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, out, 1), nn.BatchNorm2d(out)
        self.conv2, self.norm2 = nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out)
        self.down = nn.Sequential(nn.Conv2d(width, out, 1), nn.BatchNorm2d(out)) if width != out else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.down(x))


def test_the_last_weight_and_the_norm_behind_it_end_the_branch() -> None:
    graph = recorded(nn.Sequential(Bottleneck(8, 8), Bottleneck(8, 16)), torch.zeros(1, 8, 6, 6))
    roles = _roles(graph)
    assert graph.summary["residual_adds"] == 2
    assert roles["0.conv1"] == roles["0.norm1"] == "in_branch"
    assert roles["0.conv2"] == roles["0.norm2"] == "branch_end"
    assert roles["1.down.0"] == roles["1.down.1"] == "trunk"
    assert roles["1.conv2"] == "branch_end"


def test_pre_norm_and_post_norm_blocks() -> None:
    class Block(nn.Module):
        def __init__(self, pre: bool) -> None:
            super().__init__()
            self.norm, self.up, self.down, self.pre = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8), pre

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.pre:
                return x + self.down(F.gelu(self.up(self.norm(x))))
            return self.norm(x + self.down(F.gelu(self.up(x))))

    for pre in (True, False):
        graph = recorded(nn.Sequential(Block(pre), Block(pre)), torch.zeros(2, 8))
        roles = _roles(graph)
        assert roles["1.down"] == "branch_end"
        assert roles["1.norm"] == ("in_branch" if pre else "trunk")
        assert [b["post_norm"] for b in graph.summary["blocks"]] == [not pre, not pre]


@pytest.mark.parametrize("size", [8, 1])
def test_a_learned_scale_belongs_to_the_end_of_its_branch(size: int) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
            self.gamma = nn.Parameter(torch.zeros(size))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.gamma * self.down(F.relu(self.up(x)))

    graph = recorded(Scaled(), torch.zeros(2, 8))
    layers = by_name(graph)
    assert layers["gamma"].role == ("layer_scale" if size > 1 else "skip_gain")
    assert layers["gamma"].residual_role == layers["down"].residual_role == "branch_end"
    assert graph.summary["blocks"][0]["scales"] == ("gamma",)


def test_two_branches_added_in_turn_and_at_once() -> None:
    class Parallel(nn.Module):
        def __init__(self, at_once: bool) -> None:
            super().__init__()
            self.norm, self.at_once = nn.LayerNorm(8), at_once
            self.a1, self.a2, self.b1, self.b2 = (nn.Linear(8, 8) for _ in range(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.norm(x)
            a, b = self.a2(F.relu(self.a1(y))), self.b2(F.relu(self.b1(y)))
            return x + (a + b) if self.at_once else (x + a) + b

    for at_once in (True, False):
        roles = _roles(recorded(Parallel(at_once), torch.zeros(2, 8)))
        assert (roles["a2"], roles["b2"]) == ("branch_end", "branch_end")
        assert (roles["a1"], roles["b1"]) == ("in_branch", "in_branch")


def test_a_long_skip_around_residual_blocks() -> None:
    class Long(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.tail = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
            self.blocks = nn.Sequential(*[Bottleneck(8, 8) for _ in range(3)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            return x + self.tail(self.blocks(x))

    graph = recorded(Long(), torch.zeros(1, 3, 6, 6))
    roles = _roles(graph)
    assert graph.summary["residual_adds"] == 4
    assert roles["tail"] == "branch_end"
    assert roles["blocks.1.conv2"] == "branch_end"
    assert roles["blocks.1.conv1"] == "in_branch"
    assert roles["stem"] == "trunk"


class NotResidual(nn.Module):
    """Adds that join, but skip nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.rnn = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.tanh(self.a(x) + self.b(x))  # two layers side by side
        z = 0.5 * y * (1 + torch.erf(y / 1.4142))  # an activation
        h = torch.zeros(x.shape[0], 8)
        for step in range(3):
            h = torch.relu(z[:, step] + self.rnn(h))  # an unrolled recurrence
        return self.out(h)


def test_adds_that_are_not_residual() -> None:
    graph = recorded(NotResidual(), torch.zeros(2, 3, 8))
    assert graph.summary["residual_adds"] == 0
    assert set(_roles(graph).values()) == {None}


def test_a_concatenated_skip_is_not_residual() -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 1), nn.Conv2d(8, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.cat((x, F.relu(self.a(x))), 1))

    graph = recorded(Dense(), torch.zeros(1, 4, 5, 5))
    assert graph.summary["residual_adds"] == 0
    assert by_name(graph)["b"].attrs["input_reset"] == "skip"


def test_a_feature_pyramid_is_not_residual() -> None:
    class Pyramid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1, self.c2 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
            self.l1, self.l2 = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            c1 = F.relu(self.c1(x))
            c2 = F.relu(self.c2(c1))
            return self.l1(c1) + F.interpolate(self.l2(c2), scale_factor=2)

    assert recorded(Pyramid(), torch.zeros(1, 3, 16, 16)).summary["residual_adds"] == 0


def test_a_mask_between_does_not_lengthen_the_search() -> None:
    """Scores get a mask that comes from an input of its own; the stream is still found."""
    sketch = Sketch()
    x, mask = sketch.input(2, 5, 8), sketch.input(2, 1, 5, 5)
    for i in range(3):
        q, k, v = (sketch.linear(x, f"{i}.{n}", 8, 8, (2, 5)) for n in "qkv")
        turned = sketch.add("transpose", [k], (2, 8, 5), dim0=-1, dim1=-2)
        scores = sketch.add("matmul", [q, turned], (2, 5, 5))
        scores = sketch.add("add", [scores, mask], (2, 5, 5))
        weights = sketch.add("softmax", [scores], (2, 5, 5), dim=-1)
        y = sketch.linear(sketch.add("matmul", [weights, v], (2, 5, 8)), f"{i}.o", 8, 8, (2, 5))
        x = sketch.add("add", [x, y], (2, 5, 8))
    layers = sketch.done(x)
    assert sketch.graph.summary["residual_adds"] == 3
    assert {layers[f"{i}.{n}"].role for i in range(3) for n in "q"} == {"q"}
    assert all(layers[f"{i}.o"].residual_role == "branch_end" for i in range(3))
    assert all(layers[f"{i}.o"].role == "attention_out" for i in range(3))
