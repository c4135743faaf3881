"""Running a module on a batch to look at its layers, and leaving everything but the weights as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from initadvisor.errors import UsageError
from initadvisor.graph import Layout

WEIGHTED = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d
)  # fmt: skip
"""Modules that these methods adjust."""


class _Enough(Exception):
    """Ends a forward pass when what was wanted has been seen; never leaves this module."""


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Switch dropout modules off meanwhile; put back buffers, modes and the random state, also on an exception."""
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    modes = [(child, child.training) for child in module.modules()]
    state = torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    for child, _ in modes:
        if isinstance(child, nn.modules.dropout._DropoutNd):
            child.training = False
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                buffer.copy_(buffers[name])
        for child, mode in modes:
            child.training = mode
        torch.set_rng_state(state)
        if devices:
            torch.cuda.set_rng_state_all(devices)


def run(module: nn.Module, batch: Any) -> Any:
    """Call a module on a batch: a tensor, a tuple of arguments, or a dict of keywords."""
    if isinstance(batch, dict):
        return module(**batch)
    return module(*batch) if isinstance(batch, tuple | list) else module(batch)


def pairs(batches: Iterable[tuple[Any, Any]]) -> Sequence[tuple[Any, Any]]:
    """Batches of (inputs, targets) as a list; raises UsageError where there is none or one is no pair."""
    found = list(batches)
    if not found or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in found):
        raise UsageError(
            "the batches are not pairs of inputs and targets" if found else "there is no batch",
            hint="give a list of (inputs, targets)",
        )
    return found


def finite(loss: torch.Tensor, place: str) -> torch.Tensor:
    """The loss; raises UsageError where it is not finite."""
    if not bool(torch.isfinite(loss.detach()).all()):
        raise UsageError(
            f"the loss {place} is {float(loss.detach())}",
            hint="look for NaN in the data, or give the network a start of finite loss first",
        )
    return loss


@contextmanager
def second_derivatives(hint: str) -> Iterator[None]:
    """Turn torch's word that some operator cannot be differentiated twice into a UsageError with this hint."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("derivative for "):
            raise
        raise UsageError(f"the model or its loss cannot be differentiated twice: {error}", hint=hint) from error


def executed(module: nn.Module, batch: Any) -> list[tuple[str, nn.Module]]:
    """The weighted layers by name in the order in which a forward pass calls them, each once.

    Raises UsageError where none is called.
    """
    names = {child: name for name, child in module.named_modules() if isinstance(child, WEIGHTED)}
    order: dict[nn.Module, None] = {}
    handles = [child.register_forward_pre_hook(lambda m, _: order.setdefault(m)) for child in names]
    try:
        with torch.no_grad():
            run(module, batch)
    finally:
        for handle in handles:
            handle.remove()
    if not order:
        raise UsageError(
            f"{type(module).__name__} calls no linear or convolution layer on this batch",
            hint="give a batch that the forward pass uses",
        )
    return [(names[child], child) for child in order]


def adjustable(module: nn.Module, batch: Any) -> list[tuple[str, nn.Module]]:
    """The executed layers whose weight is a trainable parameter of their own, a shared one at its first layer."""
    found: dict[int, tuple[str, nn.Module]] = {}
    for name, layer in executed(module, batch):
        weight = layer._parameters.get("weight")  # a computed weight, as under weight norm, is none
        if weight is not None and weight.requires_grad:
            found.setdefault(id(weight), (name, layer))
    return list(found.values())


def output_of(module: nn.Module, layer: nn.Module, batch: Any) -> torch.Tensor:
    """What a layer puts out at its first call; the forward pass ends there. Gradients are not recorded."""
    found: list[torch.Tensor] = []

    def keep(_: nn.Module, __: Any, output: torch.Tensor) -> None:
        found.append(output.detach())
        raise _Enough

    handle = layer.register_forward_hook(keep)
    try:
        with torch.no_grad():
            run(module, batch)
    except _Enough:
        pass
    finally:
        handle.remove()
    return found[0]


def layout_of(layer: nn.Module) -> Layout:
    """How a weighted layer stores its weight."""
    if isinstance(layer, nn.Linear):
        return Layout((0,), (1,))
    stride = 1
    for step in layer.stride:  # type: ignore[union-attr]
        stride *= int(step)
    groups = int(layer.groups)  # type: ignore[arg-type]
    if getattr(layer, "transposed", False):
        return Layout((1,), (0,), groups=groups, stride=stride, transposed=True)
    return Layout((0,), (1,), groups=groups, stride=stride)


def by_channel(output: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """An output as (channels, everything else), float64; `layer` is the one whose channels they are."""
    spatial = 0 if isinstance(layer, nn.Linear) else len(layer.kernel_size)  # type: ignore[arg-type]
    return output.double().movedim(output.ndim - 1 - spatial, 0).flatten(1)


def scale_channels(layer: nn.Module, factors: torch.Tensor) -> None:
    """Multiply what each output channel's weights hold by a factor, in place."""
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    with torch.no_grad():
        if getattr(layer, "transposed", False):
            groups = int(layer.groups)  # type: ignore[arg-type]
            split = weight.unflatten(0, (groups, -1))
            own = factors.to(weight.dtype).reshape(groups, 1, -1, *[1] * (weight.ndim - 2))
            split.mul_(own)
        else:
            weight.mul_(factors.to(weight.dtype).reshape(-1, *[1] * (weight.ndim - 1)))
