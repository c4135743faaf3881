"""Reptile: towards what training on each task leads to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from initadvisor.apply.data_driven.observe import undisturbed
from initadvisor.apply.meta.inner import State, checked, descend, start_of, state_dict
from initadvisor.apply.meta.tasks import Batch, Loss, Sampler, Task, tasks_of
from initadvisor.apply.meta.together import descend_together, groups_of, spread, stackable, stacked
from initadvisor.errors import UsageError


def reptile(
    module: nn.Module,
    sampler: Sampler,
    *,
    loss: Loss = F.cross_entropy,
    steps: int = 500,
    tasks: int = 4,
    inner_rate: float = 0.1,
    inner_steps: int = 5,
    batch: int | None = None,
    outer_rate: float = 1.0,
    anneal: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """The state dict that plain training on many tasks in turn is averaged into.

    Formula: theta += eps * mean over tasks of (phi_T - theta), phi_T after `inner_steps` of gradient descent from theta
        on the task; eps falls from outer_rate to 0 in a straight line if `anneal`.
    batch: samples of an inner step, drawn from support and query set together, which Reptile has no need to keep apart;
        all of them unless given. Then inputs and targets are tensors.
    Caveat: the paper's experiments use Adam inside; this is the definition, with gradient descent. With one inner step
        over the whole task it is joint training.
    Source: Nichol et al. 2018, arXiv 1803.02999.

    Raises UsageError where the sampler gives no task or a loss is not finite.
    """
    if tasks < 1:
        raise UsageError(f"{tasks} tasks a step are none to learn from", hint="tasks is at least 1")
    drawn = tasks_of(sampler, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with undisturbed(module):
        moving, fixed = start_of(module)
        for step in range(steps):
            eps = outer_rate * (1.0 - step / steps if anneal else 1.0)
            change = {name: torch.zeros_like(value) for name, value in moving.items()}
            for group in groups_of(_joined(task) for task in islice(drawn, tasks)):
                adapted = _train(module, moving, fixed, group, loss, inner_rate, inner_steps, batch, generator)
                for name, own in change.items():
                    own += (adapted[name].detach() - moving[name].detach()).sum(0)
            with torch.no_grad():
                for name, value in moving.items():
                    value += eps * change[name] / tasks
        return state_dict(module, moving | fixed)


def _train(
    module: nn.Module,
    moving: State,
    fixed: State,
    group: Sequence[Task],
    loss: Loss,
    rate: float,
    steps: int,
    batch: int | None,
    generator: torch.Generator,
) -> State:
    """Each parameter after training on each of some tasks of equal shapes, the tasks first."""
    count = len(group[0].support.inputs)
    size = min(batch or count, count)
    together = len(group) > 1 and stackable(module, group, moving, fixed, loss)
    own = [{name: value.detach().requires_grad_() for name, value in moving.items()} for _ in group]  # one start a task
    stack = spread({name: value.detach() for name, value in moving.items()}, len(group))
    for _ in range(steps):
        parts = [_part(task.support, size, generator) for task in group]
        if together:
            stack = descend_together(
                module, stack, fixed, list(moving), stacked(parts), loss, rate=rate, steps=1, order=0
            )
        else:
            own = [
                descend(module, start, fixed, list(moving), part, loss, rate=rate, steps=1, order=0)
                for start, part in zip(own, parts, strict=True)
            ]
    found = stack if together else {name: torch.stack([each[name] for each in own]) for name in moving}
    for name, value in found.items():
        checked(value.detach().sum(), f"after training on a task, in {name},")
    return found


def _part(whole: Batch, size: int, generator: torch.Generator) -> Batch:
    if size == len(whole.inputs):
        return whole
    pick = torch.randperm(len(whole.inputs), generator=generator)[:size].to(whole.inputs.device)
    return Batch(whole.inputs[pick], whole.targets[pick])


def _joined(task: Task) -> Task:
    """A task whose support set is all of it; raises UsageError where they are no tensors."""
    parts = [*task.support, *task.query]
    if not all(isinstance(part, torch.Tensor) for part in parts):
        raise UsageError(
            "Reptile joins support and query set, and they are no plain tensors",
            hint='use method="maml", or a model of one input tensor',
        )
    (x, y), (query_x, query_y) = task
    whole = Batch(torch.cat([x, query_x]), torch.cat([y, query_y]))
    return Task(whole, whole)
