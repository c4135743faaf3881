"""GradInit: one scale a tensor, learned so that the first step of the optimizer helps most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.func import functional_call

from initadvisor.apply.data_driven.observe import finite, pairs, second_derivatives, undisturbed

Loss = Callable[[Any, Any], torch.Tensor]


def gradinit(
    module: nn.Module,
    batches: Iterable[tuple[Any, Any]],
    loss: Loss,
    *,
    optimizer: Literal["sgd", "adam"] = "sgd",
    step_size: float = 0.1,
    gamma: float = 1.0,
    rate: float = 1e-2,
    steps: int = 200,
    least: float = 0.01,
) -> dict[str, float]:
    """Learn a factor for each parameter and multiply it in; return the factors.

    Formula: minimise over a: loss(a W - step_size A[g]; next batch) with g the gradient at a W, subject to norm(g) <=
        gamma; A[g] = g and the L2 norm for SGD, A[g] = sign g and the L1 norm for Adam. Where the bound is exceeded the
        norm itself is lowered.
    Use: any network and loss, norms included. batches: (inputs, targets) of real data, gone through in turn.
    Caveat: needs second derivatives; a parameter that is all zero stays so. The factors fit this step size.
    Source: Zhu et al. 2021, arXiv 2102.08098.

    Raises UsageError, with the module unchanged, where there is no batch, or the loss is not finite or cannot be
    differentiated twice.
    """
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    start = {name: p.detach().clone() for name, p in named.items()}
    factors = {name: torch.ones((), dtype=p.dtype, device=p.device, requires_grad=True) for name, p in named.items()}
    learner = torch.optim.Adam(factors.values(), rate)
    data = pairs(batches)
    with undisturbed(module), second_derivatives("write the loss with other operators, or use lsuv"):
        for step in range(steps):
            (batch, target), (following, next_target) = data[step % len(data)], data[(step + 1) % len(data)]
            scaled = {name: factors[name] * start[name] for name in named}
            before = finite(loss(_call(module, scaled, batch), target), f"at step {step}")
            gradients = torch.autograd.grad(before, list(scaled.values()), create_graph=True, materialize_grads=True)
            norm = _norm(gradients, optimizer)
            if float(norm.detach()) > gamma:
                aim = norm
            else:
                moves = [torch.sign(g.detach()) if optimizer == "adam" else g for g in gradients]
                moved = {n: w - step_size * g for (n, w), g in zip(scaled.items(), moves, strict=True)}
                aim = finite(loss(_call(module, moved, following), next_target), f"after step {step}")
            learner.zero_grad()
            aim.backward(inputs=list(factors.values()))
            learner.step()
            with torch.no_grad():
                for factor in factors.values():
                    factor.clamp_(min=least)
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(start[name] * factors[name].detach())
    return {name: float(factor.detach()) for name, factor in factors.items()}


def _call(module: nn.Module, parameters: dict[str, torch.Tensor], batch: Any) -> Any:
    if isinstance(batch, dict):
        return functional_call(module, parameters, (), batch)
    return functional_call(module, parameters, tuple(batch) if isinstance(batch, tuple | list) else (batch,))


def _norm(gradients: Sequence[torch.Tensor], optimizer: str) -> torch.Tensor:
    if optimizer == "adam":
        return torch.stack([g.abs().sum() for g in gradients]).sum()
    return torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
