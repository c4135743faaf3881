"""A plan on a torch module, in place: plain, tied, half-precision, on the meta device, sharded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from initadvisor.apply.keyed_torch import fill_
from initadvisor.errors import UsageError
from initadvisor.initializers import Key
from initadvisor.plan import Plan, PlanStep

_WRAPPERS = ("_orig_mod.", "module.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done: names of the parameters drawn, left alone, and materialised from the meta device."""

    drawn: tuple[str, ...]
    kept: tuple[str, ...]
    materialised: tuple[str, ...]


def apply(module: nn.Module, plan: Plan, *, device: torch.device | str | None = None) -> Applied:
    """Draw the parameters of a module in place as a plan says; return what was done.

    A parameter on the meta device gets memory first, on `device` (the CPU unless given); shards of a DTensor are drawn
    where they lie. A weight that several modules share is drawn once and stays shared. Optimizer states, gradients,
    hooks and the train mode are left alone.

    Raises UsageError, with the module unchanged, where the plan names a parameter that the module does not have or has
    in another shape, or where something on the meta device would be left without values.
    """
    places = _places(module)
    named = {_plain(name): parameter for name, parameter in module.named_parameters(remove_duplicate=False)}
    work = [(step, _find(step, named)) for step in plan.steps]
    _check_meta(module, plan, named)
    materialised = _materialise(places, torch.device(device or "cpu"))
    drawn, kept = [], []
    for step, parameter in work:
        if step.spec is None:
            kept.append(step.parameter)
            continue
        target = materialised.get(id(parameter), parameter)
        fill_(target, step.spec, Key(plan.seed, step.parameter), step.layout)
        drawn.append(step.parameter)
    meta = tuple(name for name, parameter in named.items() if id(parameter) in materialised)
    return Applied(tuple(drawn), tuple(kept), meta)


@dataclass(frozen=True, slots=True)
class _Place:
    owner: nn.Module
    name: str
    tensor: torch.Tensor
    buffer: bool


def _plain(name: str) -> str:
    """A parameter's name without what wrappers put into it."""
    for wrapper in _WRAPPERS:
        if wrapper != "module.":
            name = name.replace(wrapper, "")
    return name


def _find(step: PlanStep, named: dict[str, nn.Parameter]) -> torch.Tensor:
    for name in (step.parameter, *step.aliases, "module." + step.parameter, step.parameter.removeprefix("module.")):
        found = named.get(name)
        if found is not None:
            break
    else:
        raise UsageError(
            f"the plan names {step.parameter!r}, which the module does not have", hint="make the plan from this module"
        )
    if tuple(found.shape) != step.shape:
        raise UsageError(
            f"the plan is for {step.parameter!r} of shape {step.shape}, the module has {tuple(found.shape)}",
            hint="make the plan from this module",
        )
    return found


def _places(module: nn.Module) -> list[_Place]:
    """Every parameter and buffer on the meta device, in every module that holds it."""
    return [
        _Place(owner, name, tensor, buffer)
        for owner in module.modules()
        for table, buffer in ((owner._parameters, False), (owner._buffers, True))
        for name, tensor in table.items()
        if tensor is not None and tensor.is_meta
    ]


def _check_meta(module: nn.Module, plan: Plan, named: dict[str, nn.Parameter]) -> None:
    """Everything on the meta device must get values: from a step of the plan, or as a norm's running statistics."""
    drawn = {id(_find(step, named)) for step in plan.steps if step.spec is not None}
    lost = [name for name, p in named.items() if p.is_meta and id(p) not in drawn]
    fillable = {id(buffer) for owner in module.modules() for _, buffer in _statistics(owner)}
    lost += [name for name, b in module.named_buffers() if b.is_meta and id(b) not in fillable]
    if lost:
        some = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
        raise UsageError(
            f"{some} on the meta device would be left without values",
            hint="a buffer that the constructor computes needs the module built on a real device",
        )


def _statistics(owner: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The running statistics of a norm, which start at known values."""
    if hasattr(owner, "reset_running_stats"):
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            buffer = owner._buffers.get(name)
            if buffer is not None:
                yield name, buffer


def _materialise(places: list[_Place], device: torch.device) -> dict[int, torch.Tensor]:
    """Give memory to what is on the meta device, once for each tensor however many modules share it."""
    made: dict[int, torch.Tensor] = {}
    owners: dict[int, nn.Module] = {}
    for place in places:
        tensor = place.tensor
        if id(tensor) not in made:
            empty = torch.empty_like(tensor, device=device)
            made[id(tensor)] = empty if place.buffer else nn.Parameter(empty, requires_grad=tensor.requires_grad)
            made[id(tensor)].__dict__.update(tensor.__dict__)
        if place.buffer:
            place.owner._buffers[place.name] = made[id(tensor)]
            owners[id(place.owner)] = place.owner
        else:
            place.owner._parameters[place.name] = made[id(tensor)]  # type: ignore[assignment]
    for owner in owners.values():
        if hasattr(owner, "reset_running_stats"):
            owner.reset_running_stats()
    return made
