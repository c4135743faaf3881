"""Weights carried over to another size: stems to other numbers of channels, position tables to other grids."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from initadvisor.apply.pretrained.grids import Grid


def adapt_stem(kernel: torch.Tensor, channels: int) -> torch.Tensor:
    """A kernel (out, in, ...) for another number of input channels, its response to grey input kept.

    One channel gets the sum over the old ones. More get the old ones over and over, scaled by old / new.
    Source: timm's `adapt_input_conv` (github.com/huggingface/pytorch-image-models, timm/models/_manipulate.py).
    """
    old = kernel.shape[1]
    if channels == 1:
        return kernel.sum(1, keepdim=True)
    repeated = torch.cat([kernel] * -(-channels // old), 1)[:, :channels]
    return repeated * (old / channels)


def adapt_positions(table: torch.Tensor, grid: Grid) -> torch.Tensor:
    """A position table interpolated to another grid; rows in front of it, such as a class token's, stay.

    Bicubic with antialiasing, as timm's `resample_abs_pos_embed` does (timm/layers/pos_embed.py); the idea is that of
    Dosovitskiy et al. 2021, section 3.2, arXiv:2010.11929.
    """
    if grid.layout == "first":
        return _resized(table.reshape(-1, 1, *grid.before), grid).reshape(*table.shape[:2], *grid.after)
    if grid.layout == "last":
        return _resized(table.permute(0, 3, 1, 2), grid).permute(0, 2, 3, 1).contiguous()
    width = table.shape[-1]
    flat = table.reshape(-1, table.shape[-2], width)
    front, rows = flat[:, : grid.prefix], flat[:, grid.prefix :]
    image = rows.reshape(-1, *grid.before, width).permute(0, 3, 1, 2)
    moved = _resized(image, grid).permute(0, 2, 3, 1).reshape(flat.shape[0], -1, width)
    return torch.cat([front, moved], 1).reshape(*table.shape[:-2], -1, width)


def _resized(image: torch.Tensor, grid: Grid) -> torch.Tensor:
    resized = F.interpolate(image.double(), grid.after, mode="bicubic", antialias=True, align_corners=False)
    return resized.to(image.dtype)
