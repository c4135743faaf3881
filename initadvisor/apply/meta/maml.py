"""MAML and ANIL: the start from which a few gradient steps on a task lead furthest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from initadvisor.apply.data_driven.observe import second_derivatives, undisturbed
from initadvisor.apply.meta.inner import (
    State,
    checked,
    descend,
    head_of,
    loss_of,
    names_under,
    start_of,
    state_dict,
)
from initadvisor.apply.meta.tasks import Loss, Sampler, Task, tasks_of
from initadvisor.apply.meta.together import (
    descend_together,
    groups_of,
    losses_together,
    spread,
    stackable,
    stacked,
)
from initadvisor.errors import UsageError


def maml(
    module: nn.Module,
    sampler: Sampler,
    *,
    loss: Loss = F.cross_entropy,
    steps: int = 500,
    tasks: int = 4,
    inner_rate: float = 0.1,
    inner_steps: int = 5,
    outer_rate: float = 1e-3,
    order: Literal[1, 2] = 2,
    seed: int = 0,
) -> dict[str, Any]:
    """The state dict with the least loss on the query set after `inner_steps` of gradient descent on the support set.

    Formula: minimise over theta: mean over tasks of L_query(phi_T), phi_0 = theta, phi_(t+1) = phi_t - inner_rate *
        grad L_support(phi_t); Adam at outer_rate, `tasks` tasks a step. order 2 differentiates through the inner steps,
        order 1 takes grad L_query at phi_T as if phi_T were theta.
    Caveat: needs loss functions with second derivatives for order 2. Batch norm in training mode uses the statistics of
        each batch; the running ones are those gathered along the way.
    Source: Finn et al. 2017, arXiv 1703.03400.

    Raises UsageError where the sampler gives no task or a loss is not finite.
    """
    return _learn(module, sampler, None, loss, steps, tasks, inner_rate, inner_steps, outer_rate, order, seed)


def anil(
    module: nn.Module,
    sampler: Sampler,
    *,
    head: str | None = None,
    loss: Loss = F.cross_entropy,
    steps: int = 500,
    tasks: int = 4,
    inner_rate: float = 0.1,
    inner_steps: int = 5,
    outer_rate: float = 1e-3,
    order: Literal[1, 2] = 2,
    seed: int = 0,
) -> dict[str, Any]:
    """MAML whose inner steps move the head alone: features to be reused, a head to be adapted.

    head: its path, else the linear or convolution layer that is called last. The rest as for `maml`.
    Source: Raghu et al. 2019, arXiv 1909.09157.
    """
    first = next(tasks_of(sampler, seed))
    path = head_of(module, first.support.inputs, head)
    return _learn(module, sampler, path, loss, steps, tasks, inner_rate, inner_steps, outer_rate, order, seed)


def meta_gradient(
    module: nn.Module,
    tasks: Iterable[Task],
    *,
    moving: State,
    fixed: State,
    names: Sequence[str],
    loss: Loss = F.cross_entropy,
    inner_rate: float = 0.1,
    inner_steps: int = 5,
    order: Literal[1, 2] = 2,
) -> tuple[State, float]:
    """The gradient of the mean query loss after adaptation in the start, by parameter, and that loss.

    moving, fixed: the start, as `initadvisor.apply.meta.inner.start_of` gives it. names: what the inner steps move.
    """
    total = {name: torch.zeros_like(value) for name, value in moving.items()}
    seen, summed = 0, 0.0
    for group in groups_of(tasks):
        value = _after(module, group, moving, fixed, names, loss, inner_rate, inner_steps, order)
        gradients = torch.autograd.grad(value, list(moving.values()), allow_unused=True, materialize_grads=True)
        for own, gradient in zip(total.values(), gradients, strict=True):
            own += gradient
        seen, summed = seen + len(group), summed + float(value.detach())
    if not seen:
        raise UsageError("there is no task to take a gradient over", hint="tasks is at least 1")
    return {name: own / seen for name, own in total.items()}, summed / seen


def _after(
    module: nn.Module,
    group: Sequence[Task],
    moving: State,
    fixed: State,
    names: Sequence[str],
    loss: Loss,
    rate: float,
    steps: int,
    order: int,
) -> torch.Tensor:
    """The sum over tasks of equal shapes of the loss on the query set after adaptation on the support set."""
    if len(group) > 1 and stackable(module, group, moving, fixed, loss):
        support, query = stacked([task.support for task in group]), stacked([task.query for task in group])
        adapted = descend_together(
            module, spread(moving, len(group)), fixed, names, support, loss, rate=rate, steps=steps, order=order
        )
        return checked(losses_together(module, adapted, fixed, query, loss).sum(), "on query sets")
    values = []
    for support, query in group:
        adapted = descend(module, moving, fixed, names, support, loss, rate=rate, steps=steps, order=order)
        values.append(loss_of(module, adapted | fixed, query, loss, "on a query set"))
    return torch.stack(values).sum()


def _learn(
    module: nn.Module,
    sampler: Sampler,
    head: str | None,
    loss: Loss,
    steps: int,
    tasks: int,
    inner_rate: float,
    inner_steps: int,
    outer_rate: float,
    order: Literal[1, 2],
    seed: int,
) -> dict[str, Any]:
    if order not in (1, 2):
        raise UsageError(f"MAML is of order 1 or 2, not {order!r}")
    drawn = tasks_of(sampler, seed)
    with undisturbed(module), second_derivatives("order=1 needs none"):
        moving, fixed = start_of(module)
        names = list(moving) if head is None else names_under(module, head)
        learner = torch.optim.Adam(moving.values(), outer_rate)
        for _ in range(steps):
            gradient, _ = meta_gradient(
                module, islice(drawn, tasks), moving=moving, fixed=fixed, names=names, loss=loss,
                inner_rate=inner_rate, inner_steps=inner_steps, order=order,
            )  # fmt: skip
            for name, value in moving.items():
                value.grad = gradient[name]
            learner.step()
        return state_dict(module, moving | fixed)
