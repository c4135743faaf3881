"""Looks-linear weights: a stack of rectifiers is an orthogonal map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from initadvisor.initializers import InitSpec, Key


def stack(depth: int, width: int, inputs: int, outputs: int) -> list[torch.Tensor]:
    shapes = [(width, inputs), *[(width, width)] * (depth - 1), (outputs, width)]
    sides = ["rows", *["both"] * (depth - 1), "columns"]
    return [
        torch.from_numpy(InitSpec("mirrored_orthogonal", {"sides": s}).draw(shape, Key(0, f"{i}"), dtype=np.float64))
        for i, (shape, s) in enumerate(zip(shapes, sides, strict=True))
    ]


@pytest.mark.parametrize("function", [F.relu, F.gelu, F.silu, F.hardswish, F.softplus])
@pytest.mark.parametrize(("depth", "width"), [(3, 8), (100, 16), (300, 32)])
def test_a_stack_is_a_linear_isometry_however_deep(function, depth, width):
    x = torch.randn(5, width // 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = stack(depth, width, width // 2, width // 2)

    def run(value: torch.Tensor) -> torch.Tensor:
        for weight in weights[:-1]:
            value = function(value @ weight.T)
        return value @ weights[-1].T

    assert torch.linalg.norm(run(x), dim=1).numpy() == pytest.approx(torch.linalg.norm(x, dim=1).numpy(), rel=1e-9)
    assert run(3.0 * x).numpy() == pytest.approx(3.0 * run(x).numpy(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("sides", ["rows", "columns", "both"])
@pytest.mark.parametrize("shape", [(7, 9), (8, 5), (5, 8)])
def test_an_odd_last_unit_stays_without_its_opposite(sides, shape):
    weight = InitSpec("mirrored_orthogonal", {"sides": sides}).draw(shape, Key(2, "w"), dtype=np.float64)
    rows, columns = shape[0] // 2, shape[1] // 2
    if sides != "columns":
        assert np.array_equal(weight[:rows], -weight[shape[0] - rows :])
    if sides != "rows":
        assert np.array_equal(weight[:, :columns], -weight[:, shape[1] - columns :])


def test_an_expanding_layer_keeps_the_second_moment():
    weight = InitSpec("mirrored_orthogonal", {"sides": "rows"}).draw((64, 8), Key(0, "w"), dtype=np.float64)
    x = np.random.default_rng(0).standard_normal((4000, 8))
    assert np.mean((x @ weight.T) ** 2) == pytest.approx(1.0, rel=0.03)
