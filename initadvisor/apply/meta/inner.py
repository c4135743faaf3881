"""The inner loop: gradient steps on one task, as a function of the start, so that it can be differentiated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from initadvisor.apply.data_driven.observe import executed, undisturbed
from initadvisor.apply.meta.tasks import Batch, Loss, batch_of
from initadvisor.errors import UsageError

State = dict[str, torch.Tensor]
"""Parameters and buffers by name."""


def start_of(module: nn.Module) -> tuple[State, State]:
    """Copies of the trainable parameters, each once and requiring a gradient, and of everything else."""
    moving = {n: p.detach().clone().requires_grad_() for n, p in module.named_parameters() if p.requires_grad}
    if not moving:
        raise UsageError(f"{type(module).__name__} has no trainable parameter", hint="unfreeze what is to be learned")
    fixed = {n: p.detach().clone() for n, p in module.named_parameters() if not p.requires_grad}
    return moving, fixed | {n: b.detach().clone() for n, b in module.named_buffers()}


def call(module: nn.Module, state: Mapping[str, torch.Tensor], inputs: Any) -> Any:
    """The module's output with other parameters and buffers; buffers in `state` are updated in place."""
    if isinstance(inputs, dict):
        return functional_call(module, dict(state), (), inputs)
    return functional_call(module, dict(state), tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,))


def loss_of(module: nn.Module, state: Mapping[str, torch.Tensor], batch: Batch, loss: Loss, place: str) -> torch.Tensor:
    """The loss on a batch; raises UsageError where it is not finite."""
    return checked(loss(call(module, state, batch.inputs), batch.targets), place)


def checked(value: torch.Tensor, place: str) -> torch.Tensor:
    """The loss itself; raises UsageError where it is not finite."""
    if not bool(torch.isfinite(value.detach()).all()):
        raise UsageError(
            f"the loss {place} is {float(value.detach())}", hint="lower inner_rate or outer_rate, or look for NaN"
        )
    return value


def descend(
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
    """`steps` of gradient descent on a batch; returns all moving parameters, those in `names` moved.

    order: 2 keeps the graph of the gradients, so that the result is differentiable in the start; with 1 the gradients
    count as constants; with 0 the result hangs on nothing.
    """
    found = dict(moving)
    names = list(names)
    for step in range(steps):
        value = loss_of(module, found | fixed, batch, loss, f"at inner step {step}")
        gradients = torch.autograd.grad(
            value, [found[name] for name in names], create_graph=order == 2, allow_unused=True, materialize_grads=True
        )
        for name, gradient in zip(names, gradients, strict=True):
            moved = found[name] - rate * gradient
            found[name] = moved if order else moved.detach().requires_grad_()
    return found


def fine_tune(
    module: nn.Module,
    state: Mapping[str, Any],
    support: tuple[Any, Any],
    *,
    rate: float,
    steps: int,
    loss: Loss = F.cross_entropy,
    only: str | None = None,
) -> dict[str, Any]:
    """The state dict after plain gradient descent from `state` on one support set; the module is left as it was.

    only: path of a submodule whose parameters alone move, such as the head. Each step uses the whole support set.
    """
    with undisturbed(module):
        moving, fixed = start_of(module)
        for table in (moving, fixed):
            for name, own in table.items():
                table[name] = state[name].detach().to(own).clone().requires_grad_(own.requires_grad)
        names = names_under(module, only) if only is not None else list(moving)
        batch = batch_of(support, "support")
        moved = descend(module, moving, fixed, names, batch, loss, rate=rate, steps=steps, order=0)
    return state_dict(module, moved | fixed)


def state_dict(module: nn.Module, state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """A state dict of the module with these parameters and buffers, shared ones under each of their names."""
    first = {id(p): n for n, p in module.named_parameters()} | {id(b): n for n, b in module.named_buffers()}
    names = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    made: dict[str, Any] = {}
    for name, entry in module.state_dict().items():
        own = first.get(id(names.get(name)))
        value = state.get(own) if own is not None else None
        made[name] = (value if value is not None else entry).detach().clone() if torch.is_tensor(entry) else entry
    return made


def head_of(module: nn.Module, inputs: Any, head: str | None) -> str:
    """The path of the head: as given, else the linear or convolution layer that is called last.

    Raises UsageError where there is no module of that name.
    """
    if head is None:
        with undisturbed(module):
            return executed(module, inputs)[-1][0]
    if head not in dict(module.named_modules()):
        raise UsageError(f"{type(module).__name__} has no module {head!r}", hint="name one of named_modules()")
    return head


def names_under(module: nn.Module, path: str) -> list[str]:
    """The trainable parameters of a submodule; raises UsageError where there is none."""
    found = [n for n, p in module.named_parameters() if p.requires_grad and (n.startswith(f"{path}.") or not path)]
    if not found:
        raise UsageError(f"{path!r} has no trainable parameter of its own", hint="name another module as the head")
    return found
