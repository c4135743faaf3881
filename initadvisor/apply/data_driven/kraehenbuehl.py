"""Data-dependent initialization after Kraehenbuehl: unit channels, equal rates of change."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from initadvisor.apply.data_driven.observe import (
    adjustable,
    by_channel,
    output_of,
    run,
    scale_channels,
    undisturbed,
)


def kraehenbuehl(
    module: nn.Module, batch: Any, *, rounds: int = 50, damping: float = 0.25, tolerance: float = 0.01, seed: int = 0
) -> dict[str, float]:
    """Normalise every channel on a batch, then make all layers change at the same relative rate; return those rates.

    Formula: w_c /= std_c, b_c = -mean_c / std_c in order of execution; then r_k = (C_k / mean C)^(damping / 2) with
        the geometric mean, W_k and b_k *= r_k, W_(k+1) /= r_k, until all C_k = E norm(dl/dW_k)^2 / norm(W_k)^2 agree to
        `tolerance`, with l a random linear function of the output.
    Use: plain chains of layers with ReLU or no activation between, where a scale passes through.
    Caveat: the second step assumes that each layer feeds the next one executed, homogeneously. The rates are those of
        the random function, not of the loss.
    Source: Kraehenbuehl et al. 2015, arXiv 1511.06856.
    """
    with undisturbed(module):
        layers = adjustable(module, batch)
        for _, layer in layers:
            _unit_channels(module, layer, batch)
        return _equal_rates(module, layers, batch, rounds, damping, tolerance, seed)


def _unit_channels(module: nn.Module, layer: nn.Module, batch: Any) -> None:
    channels = by_channel(output_of(module, layer, batch), layer)
    std = channels.std(1)
    factors = torch.where(std > 1e-12, 1.0 / std.clamp_min(1e-12), torch.ones_like(std))
    scale_channels(layer, factors)
    if isinstance(layer.bias, torch.Tensor):
        with torch.no_grad():
            shift = (layer.bias.double() - channels.mean(1)) * factors
            layer.bias.copy_(shift)


def _equal_rates(
    module: nn.Module,
    layers: list[tuple[str, nn.Module]],
    batch: Any,
    rounds: int,
    damping: float,
    tolerance: float,
    seed: int,
) -> dict[str, float]:
    rates = _rates(module, layers, batch, seed)
    for _ in range(rounds):
        if not torch.isfinite(rates.log()).all() or rates.max() / rates.min() <= 1.0 + tolerance:
            break
        # Twice the weight halves its gradient, here and through what is undone behind it: C falls with r^4. With the
        # last layer fixed the function of the whole chain keeps its scale.
        steps = ((rates.log() - rates.log().mean()) * damping / 2).exp()[:-1]
        with torch.no_grad():
            for (_, layer), (_, following), factor in zip(layers, layers[1:], steps.tolist(), strict=False):
                layer.weight.mul_(factor)  # type: ignore[operator, union-attr]
                if isinstance(layer.bias, torch.Tensor):
                    layer.bias.mul_(factor)
                following.weight.div_(factor)  # type: ignore[operator, union-attr]
        rates = _rates(module, layers, batch, seed)
    return {name: float(rate) for (name, _), rate in zip(layers, rates, strict=True)}


def _rates(module: nn.Module, layers: list[tuple[str, nn.Module]], batch: Any, seed: int) -> torch.Tensor:
    weights = [layer.weight for _, layer in layers]
    output = run(module, batch)
    output = output if isinstance(output, torch.Tensor) else next(iter(_tensors(output)))
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(output.shape, generator=generator).to(output)
    gradients = torch.autograd.grad((output * direction).sum(), weights, allow_unused=True)  # type: ignore[arg-type]
    return torch.stack([
        (g.double().square().sum() / w.detach().double().square().sum()).cpu() if g is not None else torch.tensor(0.0)  # type: ignore[operator]
        for g, w in zip(gradients, weights, strict=True)
    ])  # fmt: skip


def _tensors(output: Any) -> list[torch.Tensor]:
    values = output.values() if isinstance(output, dict) else output
    return [value for value in values if isinstance(value, torch.Tensor)]
