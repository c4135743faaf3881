"""MetaInit: norms under which the gradient changes little along itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from initadvisor.apply.data_driven.observe import finite, pairs, run, undisturbed

Loss = Callable[[Any, Any], torch.Tensor]


def gradient_quotient(
    module: nn.Module, batch: Any, target: Any, loss: Loss, *, epsilon: float = 1e-5, create_graph: bool = False
) -> torch.Tensor:
    """How much a step along the gradient changes it: 0 for a linear loss surface.

    Formula: GQ = mean abs((g - H g) / (g + epsilon sign g) - 1) over the elements of all parameters.
    Caveat: a low value alone is no health: at a gain of .1 it is 1.0, at He's gain 63.
    Source: Dauphin and Schoenholz 2019, "MetaInit", NeurIPS.
    """
    weights = [p for p in module.parameters() if p.requires_grad]
    value = finite(loss(run(module, batch), target), "of the gradient quotient")
    gradients = torch.autograd.grad(value, weights, create_graph=True, materialize_grads=True)
    energy = torch.stack([g.square().sum() for g in gradients]).sum() / 2
    # A loss that is linear everywhere has no second derivative to ask for.
    products = (
        torch.autograd.grad(energy, weights, create_graph=create_graph, materialize_grads=True)
        if energy.requires_grad
        else [torch.zeros_like(g) for g in gradients]
    )
    total = torch.zeros((), dtype=torch.float64)
    for g, product in zip(gradients, products, strict=True):
        # sign(0) is 0: an element without gradient would divide by 0, and counts as epsilon instead.
        sign = torch.where(g.detach() < 0, -1.0, 1.0)
        total = total + ((g - product) / (g + epsilon * sign) - 1).abs().sum().double()
    return total / sum(w.numel() for w in weights)


def metainit(
    module: nn.Module,
    batches: Iterable[tuple[Any, Any]],
    loss: Loss,
    *,
    steps: int = 500,
    rate: float = 0.1,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
) -> list[float]:
    """Tune the norm of each weight matrix so that the gradient quotient falls; return the quotient at each step.

    Formula: norm(W) -= rate x momentum of sign(dGQ / dnorm(W)), directions kept.
    Use: networks without a known start. batches: (inputs, targets), gone through in turn; random ones do, but there
        must be many. The quotient is a mean of ratios, whose slope belongs to the few elements with the smallest
        gradients: it differs from batch to batch, and only the momentum over many of them follows the trend. On one
        batch, seen again and again, the norms wander between the poles of its own few elements.
    Caveat: needs second derivatives of every operator; see `gradient_quotient`. From a start so large that the softmax
        saturates the slope says nothing at all: scale it first (`lsuv`).
    Source: Dauphin and Schoenholz 2019, "MetaInit", NeurIPS.

    Raises UsageError where there is no batch or the loss is not finite.
    """
    weights = [p for p in module.parameters() if p.requires_grad and p.ndim >= 2]
    memory = [0.0] * len(weights)
    data = pairs(batches)
    seen = []
    with undisturbed(module):
        for step in range(steps):
            batch, target = data[step % len(data)]
            quotient = gradient_quotient(module, batch, target, loss, epsilon=epsilon, create_graph=True)
            seen.append(float(quotient.detach()))
            if not quotient.requires_grad:
                break
            slopes = torch.autograd.grad(quotient, weights, materialize_grads=True)
            with torch.no_grad():
                for i, (weight, slope) in enumerate(zip(weights, slopes, strict=True)):
                    norm = float(weight.norm())
                    if not norm:
                        continue
                    towards = float(torch.sign((slope * weight).sum()))
                    memory[i] = momentum * memory[i] - rate * towards
                    if norm + memory[i] <= 0.0:
                        # A norm may not cross zero, which would turn the direction round: it stays and starts anew.
                        memory[i] = 0.0
                    weight.mul_((norm + memory[i]) / norm)
    return seen
