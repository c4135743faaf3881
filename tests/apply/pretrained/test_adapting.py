"""Stems for other channels, position tables for other grids."""

from __future__ import annotations

import pytest
import torch

from initadvisor.apply.pretrained.adapting import adapt_positions, adapt_stem
from initadvisor.apply.pretrained.grids import grid_of


@pytest.mark.parametrize(("old", "new"), [(3, 1), (3, 6), (3, 3), (1, 3), (4, 8), (3, 9)])
def test_a_grey_picture_gets_the_same_response(old: int, new: int) -> None:
    kernel = torch.randn(8, old, 3, 3, dtype=torch.float64)
    adapted = adapt_stem(kernel, new)
    assert adapted.shape == (8, new, 3, 3)
    torch.testing.assert_close(adapted.sum(1), kernel.sum(1))


@pytest.mark.parametrize("new", [2, 4, 5, 10])
def test_channels_go_round_and_keep_the_scale(new: int) -> None:
    kernel = torch.randn(8, 3, 3, 3)
    adapted = adapt_stem(kernel, new)
    for channel in range(new):
        torch.testing.assert_close(adapted[:, channel], kernel[:, channel % 3] * 3 / new)


def test_timm_adapts_a_stem_the_same_way() -> None:
    from timm.models import adapt_input_conv

    kernel = torch.randn(8, 3, 7, 7)
    for channels in (1, 2, 4, 5):
        torch.testing.assert_close(adapt_stem(kernel, channels), adapt_input_conv(channels, kernel))


@pytest.mark.parametrize(("old", "new"), [(14, 24), (14, 7), (7, 7)])
def test_timm_adapts_positions_the_same_way(old: int, new: int) -> None:
    from timm.layers import resample_abs_pos_embed

    table = torch.randn(1, old * old + 1, 16)
    grid = grid_of(tuple(table.shape), (1, new * new + 1, 16))
    assert grid is not None
    expected = resample_abs_pos_embed(table, (new, new), num_prefix_tokens=1)
    torch.testing.assert_close(adapt_positions(table, grid), expected, atol=1e-5, rtol=1e-5)


def test_a_class_token_stays_and_a_constant_stays_constant() -> None:
    table = torch.full((1, 17, 4), 0.5)
    table[:, 0] = 7.0
    grid = grid_of((1, 17, 4), (1, 65, 4))
    assert grid is not None
    adapted = adapt_positions(table, grid)
    assert torch.equal(adapted[:, 0], table[:, 0])
    torch.testing.assert_close(adapted[:, 1:], torch.full((1, 64, 4), 0.5))


@pytest.mark.parametrize("shape", [(1, 4, 4, 3), (1, 3, 4, 4), (16, 3)])
def test_every_layout_interpolates_the_same_picture(shape: tuple[int, ...]) -> None:
    rows = torch.arange(4.0).view(4, 1, 1).expand(4, 4, 3)
    table = {"(16, 3)": rows.reshape(16, 3), "(1, 4, 4, 3)": rows[None], "(1, 3, 4, 4)": rows.permute(2, 0, 1)[None]}[
        str(shape)
    ]
    wanted = {16: (64, 3), 1: (1, 8, 8, 3) if shape[1] == 4 else (1, 3, 8, 8)}[shape[0]]
    grid = grid_of(shape, wanted)
    assert grid is not None
    adapted = adapt_positions(table, grid)
    assert adapted.shape == wanted
    image = {64: lambda t: t.view(8, 8, 3), 1: lambda t: t[0] if shape[1] == 4 else t[0].permute(1, 2, 0)}[wanted[0]](
        adapted
    )
    torch.testing.assert_close(image[:, 0], image[:, 7])
    assert (image[1:, 0, 0] >= image[:-1, 0, 0] - 1e-6).all()
