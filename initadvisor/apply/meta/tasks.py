"""What a user's task sampler gives: a support set to adapt on and a query set to be judged by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import torch

from initadvisor.errors import UsageError

Loss = Callable[[Any, Any], torch.Tensor]
"""(outputs, targets) to a scalar."""


class Batch(NamedTuple):
    """Inputs (a tensor, a tuple of arguments or a dict of keywords) and their targets."""

    inputs: Any
    targets: Any


class Task(NamedTuple):
    """One task: adapt on `support`, be judged on `query`. A plain tuple of two pairs serves as well."""

    support: Batch
    query: Batch


class Sampler(Protocol):
    """Draws one task at random: `sampler(generator)` returns ((inputs, targets), (inputs, targets)).

    generator: seeded by the method's `seed`; a sampler that draws from it alone gives the same tasks every time.
    Where classes are told apart by order (N-way classification), shuffle which class is number 0 in each task: with
    fixed numbers one network can learn all classes at once, and nothing is left to adapt to.
    """

    def __call__(self, generator: torch.Generator, /) -> Any:
        """One task."""
        ...


def tasks_of(sampler: Sampler, seed: int) -> Iterator[Task]:
    """Tasks without end; raises UsageError where the sampler raises or gives something else."""
    if not callable(sampler):
        raise UsageError(
            f"the task sampler is {type(sampler).__name__}, which cannot be called",
            hint="give a function of a torch.Generator that returns (support, query)",
        )
    generator = torch.Generator().manual_seed(seed)
    while True:
        try:
            drawn = sampler(generator)
        except Exception as error:
            raise UsageError(f"the task sampler raised {type(error).__name__}: {error}") from error
        yield task_of(drawn)


def task_of(drawn: Any) -> Task:
    """What a sampler returned, as a task; raises UsageError where it is none."""
    if not _is_pair(drawn):
        raise _no_task(drawn)
    return Task(*(batch_of(part, name) for part, name in zip(drawn, ("support", "query"), strict=True)))


def batch_of(given: Any, name: str) -> Batch:
    """(inputs, targets), checked; raises UsageError where it is no such pair or empty."""
    if not _is_pair(given):
        raise UsageError(
            f"the {name} set is {type(given).__name__}, not a pair of inputs and targets",
            hint="a task is ((inputs, targets), (inputs, targets))",
        )
    inputs, targets = given
    if isinstance(inputs, torch.Tensor) and isinstance(targets, torch.Tensor) and inputs.ndim and targets.ndim:
        if not len(inputs):
            raise UsageError(f"the {name} set of a task is empty")
        if len(inputs) != len(targets):
            raise UsageError(f"the {name} set of a task has {len(inputs)} inputs and {len(targets)} targets")
    return Batch(inputs, targets)


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple | list) and len(given) == 2


def _no_task(drawn: Any) -> UsageError:
    size = f" of {len(drawn)}" if isinstance(drawn, tuple | list) else ""
    return UsageError(
        f"the task sampler returned {type(drawn).__name__}{size}, not a support and a query set",
        hint="return ((inputs, targets), (inputs, targets))",
    )
