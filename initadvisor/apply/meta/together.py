"""Many tasks at once: those of equal shapes are one more dimension of every tensor, which small models gain much by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import grad, vmap

from initadvisor.apply.meta.inner import State, call
from initadvisor.apply.meta.tasks import Batch, Loss, Task


def groups_of(tasks: Iterable[Task]) -> list[list[Task]]:
    """Tasks in groups whose tensors have equal shapes and types; one that holds no plain tensors is by itself."""
    groups: dict[Any, list[Task]] = {}
    for number, task in enumerate(tasks):
        parts = (*task.support, *task.query)
        plain = all(isinstance(part, torch.Tensor) for part in parts)
        key = tuple((part.shape, part.dtype, part.device) for part in parts) if plain else number
        groups.setdefault(key, []).append(task)
    return list(groups.values())


def stacked(batches: Sequence[Batch]) -> Batch:
    """Batches of equal shapes as one, the tasks first."""
    return Batch(torch.stack([b.inputs for b in batches]), torch.stack([b.targets for b in batches]))


def stackable(module: nn.Module, tasks: Sequence[Task], moving: State, fixed: State, loss: Loss) -> bool:
    """Whether module and loss can be run on several tasks at once.

    Not with buffers, which one task would write and the next one read, and not where either refuses: by a branch on
    values, or by random numbers.
    """
    if any(True for _ in module.buffers()) or not all(isinstance(p, torch.Tensor) for p in tasks[0].support):
        return False
    try:
        spread = {name: value.detach().expand(2, *value.shape) for name, value in moving.items()}
        with torch.no_grad():
            losses_together(module, spread, fixed, stacked([tasks[0].support] * 2), loss)
    except Exception:  # whatever it is, the plain way works or says what is wrong
        return False
    return True


def descend_together(
    module: nn.Module,
    moving: State,
    fixed: State,
    names: Iterable[str],
    batch: Batch,
    loss: Loss,
    *,
    rate: float,
    steps: int,
    order: int,
) -> State:
    """`initadvisor.apply.meta.inner.descend` for a stack of tasks; parameters come and go with the tasks first."""

    def of_one(own: State, rest: State, inputs: Any, targets: Any) -> torch.Tensor:
        return loss(call(module, rest | own | fixed, inputs), targets)

    slope = vmap(grad(of_one))
    names = set(names)
    found = dict(moving)
    for _ in range(steps):
        own = {n: v for n, v in found.items() if n in names}
        gradients = slope(own, {n: v for n, v in found.items() if n not in names}, *batch)
        for name, gradient in gradients.items():
            found[name] = found[name] - rate * (gradient if order == 2 else gradient.detach())
    return found


def losses_together(module: nn.Module, moving: State, fixed: State, batch: Batch, loss: Loss) -> torch.Tensor:
    """The loss of each task of a stack, (tasks,)."""

    def of_one(own: State, inputs: Any, targets: Any) -> torch.Tensor:
        return loss(call(module, own | fixed, inputs), targets)

    result: torch.Tensor = vmap(of_one)(moving, *batch)
    return result


def spread(moving: State, count: int) -> State:
    """The same parameters for each of `count` tasks, as views."""
    return {name: value.expand(count, *value.shape) for name, value in moving.items()}
