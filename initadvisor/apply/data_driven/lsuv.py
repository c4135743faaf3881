"""LSUV: layer-sequential unit variance."""

from __future__ import annotations

from math import isfinite
from typing import Any

import torch
from torch import nn

from initadvisor.apply.data_driven.observe import adjustable, layout_of, output_of, undisturbed
from initadvisor.apply.keyed_torch import fill_
from initadvisor.errors import UsageError
from initadvisor.initializers import InitSpec, Key


def lsuv(
    module: nn.Module, batch: Any, *, tolerance: float = 0.1, tries: int = 10, orthogonal: bool = True, seed: int = 0
) -> dict[str, float]:
    """Scale each layer in turn until its output has unit standard deviation on a batch; return what it ended at.

    Formula: W orthogonal, then W /= std(W x + b) until abs(std - 1) <= tolerance, at most `tries` times.
    Use: any network; one forward pass a layer and try. batch: a tensor, a tuple of arguments or a dict of keywords.
    Caveat: unit total variance says nothing of the variance between samples: a deep sigmoid net still has none. A layer
        whose output is constant is left alone, as are frozen and reparametrised ones; of several layers that share a
        weight the first counts.
    Source: Mishkin and Matas 2015, arXiv 1511.06422.

    Raises UsageError where no layer is called, or where an output is not finite: what the batch holds, or what a frozen
    layer makes of it.
    """
    reached: dict[str, float] = {}
    with undisturbed(module):
        for name, layer in adjustable(module, batch):
            weight = layer.weight
            assert isinstance(weight, torch.Tensor)
            if orthogonal:
                fill_(weight, InitSpec("orthogonal"), Key(seed, f"{name}.weight".lstrip(".")), layout_of(layer))
                if isinstance(layer.bias, torch.Tensor) and layer.bias.requires_grad:
                    nn.init.zeros_(layer.bias)
            std = _std(module, layer, batch, name)
            for _ in range(tries):
                if std == 0.0 or abs(std - 1.0) <= tolerance:
                    break
                with torch.no_grad():
                    weight.div_(std)
                std = _std(module, layer, batch, name)
            reached[name] = std
    return reached


def _std(module: nn.Module, layer: nn.Module, batch: Any, name: str) -> float:
    std = float(output_of(module, layer, batch).double().std(correction=0))
    if not isfinite(std):
        raise UsageError(f"the output of {name or 'the layer'} is not finite on this batch", hint="look for NaN in it")
    return std
