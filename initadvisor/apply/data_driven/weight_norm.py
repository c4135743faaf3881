"""The data-dependent start of weight normalization."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from initadvisor.apply.data_driven.observe import by_channel, executed, output_of, undisturbed
from initadvisor.apply.keyed_torch import fill_
from initadvisor.errors import UsageError
from initadvisor.initializers import InitSpec, Key


def weight_norm_start(module: nn.Module, batch: Any, *, std: float = 0.05, seed: int = 0) -> dict[str, float]:
    """Give every weight-normalised layer unit, centred outputs on a batch; return the std each ended at.

    Formula: v ~ N(0, std^2), t = v x / norm(v); g = 1 / std(t), b = -mean(t) / std(t) for each channel.
    Use: layers under `torch.nn.utils.parametrizations.weight_norm` with one gain an output channel, in order of
        execution.
    Caveat: holds for this batch only; take a large one. A channel that is constant on it keeps a gain of one.
    Source: Salimans and Kingma 2016, arXiv 1602.07868.

    Raises UsageError where no layer is weight-normalised, or one has other gains than one an output channel.
    """
    reached: dict[str, float] = {}
    with undisturbed(module):
        for name, layer in executed(module, batch):
            parts = _parts(layer)
            if parts is None:
                continue
            gain, direction = parts
            _check_gains(name, layer, gain)
            fill_(direction, InitSpec("normal", {"std": std}), Key(seed, f"{name}.weight".lstrip(".")))
            with torch.no_grad():
                gain.fill_(1.0)
                if isinstance(layer.bias, torch.Tensor):
                    layer.bias.zero_()
            channels = by_channel(output_of(module, layer, batch), layer)
            std_now = channels.std(1, correction=0)
            spread = torch.where(std_now > 1e-12, std_now, 1.0)
            with torch.no_grad():
                gain.copy_((1.0 / spread).reshape(gain.shape))
                if isinstance(layer.bias, torch.Tensor):
                    layer.bias.copy_(-channels.mean(1) / spread)
            reached[name] = float(by_channel(output_of(module, layer, batch), layer).std(1, correction=0).mean())
    if not reached:
        raise UsageError(
            f"{type(module).__name__} has no weight-normalised layer",
            hint="wrap layers with torch.nn.utils.parametrizations.weight_norm first",
        )
    return reached


def _check_gains(name: str, layer: nn.Module, gain: torch.Tensor) -> None:
    transposed = bool(getattr(layer, "transposed", False))
    if transposed or gain.numel() != gain.shape[0] or gain.ndim < 2:
        raise UsageError(
            f"{name or 'the layer'} has weight-norm gains of shape {tuple(gain.shape)}, not one an output channel",
            hint="weight_norm(layer, dim=0) on a linear or convolution layer has that",
        )


def _parts(layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor] | None:
    """(gain, direction) of a layer under weight norm, None for any other."""
    found = getattr(layer, "parametrizations", None)
    if found is None or "weight" not in found:
        return None
    gain, direction = (getattr(found["weight"], name, None) for name in ("original0", "original1"))
    known = type(found["weight"][0]).__name__ == "_WeightNorm"
    return (gain, direction) if known and gain is not None and direction is not None else None
